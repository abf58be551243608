# SPDX-License-Identifier: Apache-2.0
"""What the kernel does with an Intel QuickAssist device of a `twin` when its files are written to."""

import errno
from pathlib import Path

from cyborg.drivers.twin_kernel import fail, read

SERVICES = frozenset({"sym", "asym", "dc", "dcc", "decomp"})


def set_state(path: Path, text: str) -> None:
    """A device with VFs stays up."""
    if read(path) is None:
        fail(errno.ENOENT)
    if text not in ("up", "down"):
        fail(errno.EINVAL)
    if text == "down" and any(path.parent.parent.glob("virtfn*")):
        fail(errno.EBUSY)
    path.write_text(f"{text}\n", encoding="utf-8")


def set_services(path: Path, text: str) -> None:
    """Of a device that is down, and no more than it can have."""
    if read(path) is None:
        fail(errno.ENOENT)
    if read(path.parent / "state") != "down" or not set(text.split(";")) <= SERVICES or text.count(";") > 1:
        fail(errno.EINVAL)
    path.write_text(f"{text}\n", encoding="utf-8")
