# SPDX-License-Identifier: Apache-2.0
"""Cards that come and go: the kernel says so, and the next round is run at once instead of at the end of the period.

    source = installed()                # None where there is no pyudev
    source.start(agent.wake)            # called for every event, from a thread of the source
    source.stop()

An event is no more than a reason to look: what is there is found by a whole look, so that a lost or a doubled one
does no harm. The period stays as the safety net.
"""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from oslo_log import log

LOG = log.getLogger(__name__)

#: Where accelerators show up, change their driver, or are given up by it. Disks and network ports are not among them:
#: there are many of those, and their PCI functions tell the same.
SUBSYSTEMS = ("pci", "mdev", "nvme", "drm", "fpga_region", "dfl")


class Source(Protocol):
    def start(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` whenever something came, went or changed, from now on; once per source."""
        ...

    def stop(self) -> None:
        """No further calls. May be called twice, and before `start`."""
        ...


class Udev:
    """Events of udev, which come when its rules have been applied. ``pyudev`` is the module."""

    def __init__(self, pyudev: Any) -> None:
        self._pyudev = pyudev
        self._observer: Any = None
        self._lock = threading.Lock()

    def start(self, tell: Callable[[], None]) -> None:
        monitor = self._pyudev.Monitor.from_netlink(self._pyudev.Context())
        for subsystem in SUBSYSTEMS:
            monitor.filter_by(subsystem)
        with self._lock:
            observer = self._pyudev.MonitorObserver(monitor, callback=lambda _: tell(), name="hotplug", daemon=True)
            observer.start()
            self._observer = observer

    def stop(self) -> None:
        with self._lock:
            observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()


def installed() -> Source | None:
    """The events of this machine; None, and said once, where they cannot be had: then only the period is left."""
    try:
        import pyudev
    except ImportError as exc:
        LOG.info("There are no events of hot-plugged cards (%s); new ones are found with the next report.", exc)
        return None
    return Udev(pyudev)
