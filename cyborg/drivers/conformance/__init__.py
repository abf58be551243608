# SPDX-License-Identifier: Apache-2.0
"""The kit that proves a driver right, whoever wrote it: its class on hosts that answer as a kernel does.

    subject = Subject.of("lamp:LampDriver", [Path("host.yaml")], tmp_path)
    for result in run.run(subject):
        print(result.check, result.problems)

A case is a recorded host (`cyborg.drivers.recorded`) on which the driver finds something, with ``options`` of the
driver beside. The kit makes many hosts of each: renumbered, asleep, with broken functions, with a kernel that refuses,
with a process that dies at any write. A check is a function that takes the subject and yields problems.
"""
