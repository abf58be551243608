# SPDX-License-Identifier: Apache-2.0
"""A host as drivers see it: sysfs, devfs and procfs, rooted anywhere.

Drivers never open a path of their own; they ask `Host`, so a recorded tree of files is as good as a machine:

    host = Host(sysfs="/tmp/recorded/sys", devfs="/tmp/recorded/dev", procfs="/tmp/recorded/proc")
    for function in host.pci():
        print(function.address, function.vendor, function.driver)
    (host.sys("class/mdev_bus")).names()
    host.tools.run("npu-smi", "info")

Everything that `sysfs.Node` tolerates reads as None. Discovery never writes; host work does, through `Host.act`, and
a test replaces what that writes with a hook which does what the kernel would do (`twin`).
"""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from oslo_log import log

from cyborg.domain import errors
from cyborg.drivers import actions, commands
from cyborg.drivers.counters import Counters
from cyborg.drivers.pci_function import ADDRESS, PciFunction
from cyborg.drivers.sysfs import Node
from cyborg.drivers.tools import Tools

LOG = log.getLogger(__name__)

WriteHook = Callable[[Path, str], None]


class Host:
    """``write_hook(path, text)`` is called in place of every write, and may raise the OSError a kernel would.

    ``tools`` are the vendors' commands. They speak of the machine they run on, so a host that is another one has none,
    unless they are given. ``helper_command`` starts the process that writes for an agent which may not (`privileged`).
    ``commands`` take the place of those to the hardware of this machine; another host has none without.
    """

    def __init__(
        self,
        sysfs: str | Path = "/sys",
        devfs: str | Path = "/dev",
        procfs: str | Path = "/proc",
        write_hook: WriteHook | None = None,
        tools: Tools | None = None,
        *,
        helper_command: str = "sudo privsep-helper",
        commands: commands.Commands | None = None,
    ) -> None:
        self._sysfs = Path(sysfs)
        self._devfs = Path(devfs)
        self._procfs = Path(procfs)
        self._write = write_hook or _write_file
        self._helper_command = helper_command
        # Root on the machine itself, or a host that is no machine: nobody has to be asked.
        self._asks_for_rights = self.is_this_machine and write_hook is None and os.geteuid() != 0
        self._commands = commands
        self.tools = tools or Tools(path=None if self.is_this_machine else "")
        #: What is remembered from one look to the next; nothing else is.
        self.counters = Counters()
        self._dead: set[str] = set()
        self._dead_lock = threading.Lock()

    @property
    def is_this_machine(self) -> bool:
        """Vendor libraries speak of the machine they run on, so only then may they be asked."""
        return self._sysfs == Path("/sys")

    def sys(self, path: str = "") -> Node:
        return Node(root=self._sysfs, path=path)

    def dev(self, path: str = "") -> Node:
        return Node(root=self._devfs, path=path)

    def proc(self, path: str = "") -> Node:
        return Node(root=self._procfs, path=path)

    def act(self, action: str, subject: str, value: str = "1") -> None:
        """Do one of `actions` to a function or mediated device; an OSError of the kernel reaches the caller.

        It names the attribute, whoever wrote it, and no path. An ordinary user asks the process that may.
        """
        path, text = actions.resolve(action, subject, value)
        with _naming(actions.attribute(action)):
            if self._asks_for_rights:
                from cyborg.drivers import privileged

                privileged.act(action, subject, value, self._helper_command)
            else:
                self._write(self.sys(path).full, text)

    def command(self, name: str, address: str, value: int = 0, data: bytes = b"") -> bytes:
        """The answer to one of `commands` by the function's hardware; an OSError of the kernel reaches the caller.

        It names the command and no path.
        """
        with _naming(name):
            return self._run(name, address, value, data)

    def _run(self, name: str, address: str, value: int, data: bytes) -> bytes:
        if self._commands is not None:
            return self._commands.run(name, address, value, data)
        if not self.is_this_machine:
            raise OSError(errno.ENXIO, "This host is no machine: there is no hardware that could be asked")
        if self._asks_for_rights:
            from cyborg.drivers import privileged

            return privileged.command(name, address, value, data, self._helper_command)
        return commands.Machine(self._sysfs, self._devfs).run(name, address, value, data)

    def write(self, node: Node, text: str) -> None:
        """Write to a kernel file that no action knows: a driver from elsewhere, with rights of its own."""
        self._write(node.full, text)

    def pci(self) -> tuple[PciFunction, ...]:
        """Every function that answers, by address; functions that are gone or dead are left out.

        Raises HostUnreadable when the bus cannot be listed: that is not the same as a bus without functions.
        """
        listing = self.sys("bus/pci/devices")
        names = listing.names()
        if names is None:
            raise errors.HostUnreadable(
                "The PCI devices of this host cannot be listed, so nothing is known of them. "
                "Check that sysfs is mounted at [agent] sysfs_root and that the agent may read it."
            )
        found = [PciFunction.read(listing / name, self.counters) for name in sorted(names) if ADDRESS.fullmatch(name)]
        functions = {function.address: function for function in found if function and not function.dead}
        self._note_dead({function.address for function in found if function and function.dead})
        for function in functions.values():
            function.connect(functions)
        return tuple(functions.values())

    def _note_dead(self, dead: set[str]) -> None:
        with self._dead_lock:
            begun, ended = dead - self._dead, self._dead - dead
            self._dead = dead
        for address in sorted(begun):
            LOG.warning("PCI function %s reads as all ones: it no longer answers and is left out.", address)
        for address in sorted(ended):
            LOG.info("PCI function %s is no longer read as all ones.", address)


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    """In place of the path in an OSError, which depends on who did it, and which is no matter of those who read it."""
    try:
        yield
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, what) from exc


def _write_file(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
