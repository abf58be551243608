# SPDX-License-Identifier: Apache-2.0
"""The functions that run as root for an agent that is an ordinary user: an action, or a command, on this machine.

oslo.privsep keeps them in processes of their own, started by [cyborg_sys_admin] helper_command when the first action is
asked for. What crosses to them are the name of an action or command, an address or uuid, a number, and the bitstream
for an FPGA: they look them up in the same tables as the agent does (`actions`, `commands`), so a caller that was taken
over can do what the agent may do, and nothing else. One of them has no capabilities: being the owner of the files in
sysfs and of device nodes is all that it takes to write them. The other gives NVMe commands, for which the kernel asks
for CAP_SYS_ADMIN, and does nothing else; it is not started where no disk is cleaned.
"""

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from oslo_config import cfg
from oslo_privsep import capabilities, comm, daemon, priv_context

from cyborg.domain import errors
from cyborg.drivers import actions, commands

GROUP = "cyborg_sys_admin"
DISK_GROUP = "cyborg_disk_admin"
SYSFS, DEVFS = Path("/sys"), Path("/dev")
#: Seconds; a card may take long to make its virtual functions.
TIMEOUT = 60.0
#: More than an NVMe command may take.
DISK_TIMEOUT = 660.0
#: What the names of commands begin with that the other process is for.
FOR_DISKS = "nvme_"
_starting = threading.Lock()

cyborg_sys_admin = priv_context.PrivContext(
    "cyborg", cfg_section=GROUP, pypath=f"{__name__}.cyborg_sys_admin", capabilities=[], timeout=TIMEOUT
)

cyborg_disk_admin = priv_context.PrivContext(
    "cyborg",
    cfg_section=DISK_GROUP,
    pypath=f"{__name__}.cyborg_disk_admin",
    capabilities=[capabilities.CAP_SYS_ADMIN],
    timeout=DISK_TIMEOUT,
)


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    """A helper that does not answer as the error that it is to everybody else."""
    try:
        yield
    except comm.PrivsepTimeout as exc:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from exc


@_in_time()
def act(action: str, subject: str, value: str, helper_command: str) -> None:
    """As `Host.act`; raises DriverError when there is no helper to do it. The first command counts for the process."""
    actions.resolve(action, subject, value)
    _start(cyborg_sys_admin, GROUP, helper_command)
    _act(action, subject, value)


@_in_time()
def command(name: str, address: str, value: int, data: bytes, helper_command: str) -> bytes:
    """As `Host.command`; else as `act`."""
    commands.find(name, address, value, data)
    answer: bytes
    if name.startswith(FOR_DISKS):
        _start(cyborg_disk_admin, DISK_GROUP, helper_command)
        answer = _command_disk(name, address, value)
    else:
        _start(cyborg_sys_admin, GROUP, helper_command)
        answer = _command(name, address, value, data)
    return answer


def _start(context: priv_context.PrivContext, group: str, helper_command: str) -> None:
    """Once for each process, whichever of several threads comes first."""
    try:
        with _starting:
            if context.client_mode and context.channel is None:
                # oslo.privsep reads the global configuration only, which nobody fills here.
                cfg.CONF.set_override("helper_command", helper_command, group=group)
                context.start()
    except (daemon.FailedToDropPrivileges, OSError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise errors.DriverError(
            f"The helper that works on this host's hardware does not start: {why}. Check [{GROUP}] helper_command, and "
            "that sudo allows it without a password."
        ) from exc


@cyborg_sys_admin.entrypoint
def _act(action: str, subject: str, value: str) -> None:
    """On the other side. What comes in is checked here, whoever checked it before."""
    path, text = actions.resolve(action, subject, value)
    with (SYSFS / path).open("w", encoding="utf-8") as file:
        file.write(text)


@cyborg_sys_admin.entrypoint
def _command(name: str, address: str, value: int, data: bytes) -> bytes:
    return commands.Machine(SYSFS, DEVFS).run(name, address, value, data)


@cyborg_disk_admin.entrypoint
def _command_disk(name: str, address: str, value: int) -> bytes:
    """Nothing but commands to disks is done with the capability of this process."""
    if not name.startswith(FOR_DISKS):
        raise errors.InvalidRequest(f"{name!r} is no command to a disk.")
    return commands.Machine(SYSFS, DEVFS).run(name, address, value)
