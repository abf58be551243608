# SPDX-License-Identifier: Apache-2.0
"""The SMART logs of this host's NVMe disks, asked for by threads beside the look that wants them.

    logs = SmartLogs()
    logs.read(host, functions)      {"0000:5e:00.0": Smart(spare=99, ...)}

A disk that does not answer holds up no look and no other disk: until its answer comes, what it said before holds, and
it is not asked again. Only the controller of a disk that is awake and bound to the host's driver is asked, and none
more often than once a minute. It takes the process that erases disks (`privileged`); where that cannot be had it is
said once, and nobody tries again before the agent is started anew.
"""

import threading
import time
from collections.abc import Iterable, Mapping

from oslo_log import log

from cyborg.domain import errors
from cyborg.drivers import commands, nvme_controller, nvme_smart
from cyborg.drivers.host import Host
from cyborg.drivers.nvme_smart import Smart
from cyborg.drivers.pci_function import PciFunction

LOG = log.getLogger(__name__)

DRIVER = "nvme"
LIVE = "live"
#: Seconds: how long a look waits for all answers together, and for how long an answer is good.
PATIENCE = 2.0
PAUSE = 60.0


class SmartLogs:
    """For any number of threads."""

    def __init__(self, patience: float = PATIENCE, pause: float = PAUSE) -> None:
        self._patience = patience
        self._pause = pause
        self._lock = threading.Lock()
        self._asked: dict[str, _Question] = {}
        self._silent: frozenset[str] = frozenset()
        self._helper = _Helper()

    def read(self, host: Host, functions: Iterable[PciFunction]) -> Mapping[str, Smart]:
        """By address; a disk whose log cannot be had has no entry."""
        wanted = [function.address for function in functions if _answers(function)]
        with self._lock:
            self._asked = {address: self._question(host, address) for address in wanted}
            asked = dict(self._asked)
        deadline = time.monotonic() + self._patience
        for question in asked.values():
            question.wait(max(0.0, deadline - time.monotonic()))
        self._tell(asked)
        return {address: one.smart for address, one in asked.items() if one.smart is not None}

    def _question(self, host: Host, address: str) -> "_Question":
        last = self._asked.get(address)
        if last is not None and (last.is_open or last.age < self._pause):
            return last
        return _Question(self._helper, host, address, last.smart if last else None)

    def _tell(self, asked: Mapping[str, "_Question"]) -> None:
        """Once when it begins, and once when it ends."""
        why = {address: question.error for address, question in asked.items() if question.error}
        with self._lock:
            begun, ended = sorted(why.keys() - self._silent), sorted((self._silent & asked.keys()) - why.keys())
            self._silent = frozenset(why)
        if begun:
            LOG.warning(
                "The SMART log of %s cannot be read, and their health does without: %s", ", ".join(begun), why[begun[0]]
            )
        if ended:
            LOG.info("The SMART log of %s can be read again.", ", ".join(ended))


class _Helper:
    """Whether there is a process that may ask is found out by one question; all others wait for its answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_there = False
        self._trouble = ""

    def ask(self, host: Host, address: str) -> bytes:
        with self._lock:
            if self._trouble:
                raise errors.DriverError(self._trouble)
            if not self._is_there:
                return self._first(host, address)
        return host.command(commands.NVME_SMART, address)

    def _first(self, host: Host, address: str) -> bytes:
        try:
            return host.command(commands.NVME_SMART, address)
        except errors.DriverError as exc:
            self._trouble = exc.message
            raise
        finally:
            self._is_there = not self._trouble


class _Question:
    """``smart`` is what the disk said ``last`` until it answers; ``error`` says why it has no answer."""

    def __init__(self, helper: _Helper, host: Host, address: str, last: Smart | None) -> None:
        self.smart = last
        self.error: str | None = None
        self._since = time.monotonic()
        self._thread = threading.Thread(
            target=self._ask, args=(helper, host, address), name=f"smart-{address}", daemon=True
        )
        self._thread.start()

    @property
    def is_open(self) -> bool:
        return self._thread.is_alive()

    @property
    def age(self) -> float:
        return time.monotonic() - self._since

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _ask(self, helper: _Helper, host: Host, address: str) -> None:
        try:
            smart = nvme_smart.of_page(helper.ask(host, address))
            self.error = None if smart else "the answer is no such log"
        except errors.CyborgError as exc:
            smart, self.error = None, exc.message
        except OSError as exc:
            smart, self.error = None, exc.strerror or str(exc)
        self.smart = smart


def _answers(function: PciFunction) -> bool:
    if function.driver != DRIVER or function.asleep:
        return False
    return any(controller.text("state") in (LIVE, None) for controller in nvme_controller.of(function))
