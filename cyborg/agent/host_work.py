# SPDX-License-Identifier: Apache-2.0
"""Host work as the conductor asks for it: `prepare`, `clean` and `release` of one accelerator, for one operation.

    answer = work.prepare(operation, unit, wish)

Asking twice for the same step of the same operation does it once: while it runs, the second caller waits for the first;
when it is done, both get its answer, from the journal after a crash. A failure is not remembered, the next call tries
again. At one card, one piece of work is done at a time.

Messages may come late, and out of order. So whoever takes a unit back says which operation that ends, and what is still
asked for that one is refused from then on. And what a caller knows of who holds what (``unit.held``) may be old by the
time it arrives, so what was prepared here and not released yet is added to it.

Nobody waits longer than [agent] host_work_timeout. The work itself goes on (it cannot be interrupted inside the
kernel), and asking again finds it running, or done: Unavailable says so.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from oslo_log import log

from cyborg import crash
from cyborg.agent.journal import Journal
from cyborg.domain import errors, report
from cyborg.domain.host_work import Step, Unit
from cyborg.drivers.base import Cleans, Prepares
from cyborg.drivers.host import Host
from cyborg.drivers.loader import LoadedDriver

LOG = log.getLogger(__name__)
#: In the place of a step in the journal.
ENDED = "ended"

Info = Mapping[str, str | None]


@dataclass(eq=False, kw_only=True)
class _Piece:
    """One piece of work under way; ``answer`` or ``error`` is set when it is ``over``."""

    over: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None


class HostWork:
    """``timeout`` is in seconds; ``done`` is called after work that may have changed what drivers see.

    For any number of threads.
    """

    def __init__(
        self,
        drivers: Sequence[LoadedDriver],
        host: Host,
        journal: Journal,
        timeout: float,
        *,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self._done = done
        self._drivers = {loaded.name: loaded.driver for loaded in drivers}
        self._host = host
        self._journal = journal
        self._timeout = timeout
        self._guard = threading.Lock()
        self._running: dict[tuple[str, ...], _Piece] = {}
        self._prepared = _prepared(journal)
        self._cards: dict[str, threading.Lock] = {}

    def prepare(self, operation: str, unit: Unit, wish: Mapping[str, str]) -> Info:
        """Make the unit ready; returns what the hypervisor is to attach, which is what it was for most units."""
        driver = self._driver(unit)
        if not isinstance(driver, Prepares):
            return unit.info

        def work(unit: Unit) -> Info:
            info = driver.prepare(self._host, unit, wish)
            self._prepared[unit.uuid] = _address(info)
            return info

        info: Info = self._once(Step.PREPARE, operation, unit, work)["result"]
        return info

    def clean(self, operation: str, unit: Unit, *, ends: str | None = None) -> bool:
        """Make the unit safe for its next guest; False when its driver does not know how to, and nothing was done.

        ``ends`` is an operation of which nothing more is done at this unit.
        """
        driver = self._driver(unit)
        self._end(ends, unit)
        if not isinstance(driver, Cleans):
            return False
        self._once(Step.CLEAN, operation, unit, partial(driver.clean, self._host))
        return True

    def release(self, operation: str, unit: Unit, *, ends: str | None = None) -> None:
        """Take back what was made for the unit; ``ends`` as in `clean`."""
        driver = self._driver(unit)
        self._end(ends, unit)
        if not isinstance(driver, Prepares):
            return

        def work(unit: Unit) -> None:
            driver.release(self._host, unit)
            self._prepared.pop(unit.uuid, None)

        self._once(Step.RELEASE, operation, unit, work)

    def _end(self, operation: str | None, unit: Unit) -> None:
        """On disk before anything else is done."""
        if operation is not None and self._journal.find(operation, ENDED, unit.uuid) is None:
            self._journal.keep({}, operation, ENDED, unit.uuid, lasting=True)

    def _driver(self, unit: Unit) -> object:
        if unit.driver not in self._drivers:
            raise errors.NotFound(
                f"The agent of this host has no driver {unit.driver}, which is responsible for {unit.key} of the card "
                f"{unit.address}. Put it back into [agent] enabled_drivers until nobody holds a card of it."
            )
        return self._drivers[unit.driver]

    def _once(self, step: Step, operation: str, unit: Unit, work: Callable[[Unit], object]) -> dict[str, Any]:
        key = (operation, str(step), unit.uuid)
        self._check_not_ended(operation, unit)
        with self._guard:
            known = self._journal.find(*key)
            if known is not None:
                return known
            piece = self._running.get(key)
            if piece is None:
                piece = self._running[key] = _Piece()
                card = self._cards.setdefault(unit.address, threading.Lock())
                threading.Thread(
                    target=self._do,
                    args=(key, piece, card, partial(self._work, operation, unit, work)),
                    name=f"{step}-{unit.address}",
                    daemon=True,
                ).start()
        if not piece.over.wait(self._timeout):
            raise errors.Unavailable(
                f"To {step} {unit.key} of the card {unit.address} takes longer than {self._timeout:g} seconds. It goes "
                "on; ask again for how it ended."
            )
        if piece.error is not None:
            raise piece.error
        return piece.answer

    def _work(self, operation: str, unit: Unit, work: Callable[[Unit], object]) -> object:
        """While nothing else is done at the card."""
        self._check_not_ended(operation, unit)
        others = {address for uuid, address in self._prepared.items() if uuid != unit.uuid and address is not None}
        return work(replace(unit, held=unit.held | others))

    def _check_not_ended(self, operation: str, unit: Unit) -> None:
        if self._journal.find(operation, ENDED, unit.uuid) is not None:
            raise errors.Conflict(
                f"Operation {operation} is over for {unit.key} of the card {unit.address}: a later one has taken it "
                "back. Nothing was done."
            )

    def _do(self, key: tuple[str, ...], piece: _Piece, card: threading.Lock, work: Callable[[], object]) -> None:
        try:
            with card:
                crash.point("host_work.before_step")
                answer = {"result": work()}
                crash.point("host_work.before_note")
                self._journal.keep(answer, *key)
                piece.answer = answer
        except errors.CyborgError as exc:
            LOG.warning("Operation %s cannot %s: %s", key[0], key[1], exc.message)
            piece.error = exc
        except Exception:  # a driver's work: whatever it does, the caller gets an answer
            LOG.exception("Operation %s cannot %s", key[0], key[1])
            piece.error = errors.DriverError("The driver failed; the agent's log says how.")
        finally:
            with self._guard:
                self._running.pop(key, None)
            piece.over.set()
            self._done()


def _address(info: Info) -> str | None:
    return report.Accelerator(key="", type=report.HandleType.PCI, info=info).pci_address


def _prepared(journal: Journal) -> dict[str, str | None]:
    """The functions, by uuid of the unit, that were prepared and not released before this agent started."""
    found: dict[str, str | None] = {}
    for key, answer in journal.entries():
        match key:
            case (_, Step.PREPARE, uuid):
                found[uuid] = _address(answer["result"])
            case (_, Step.RELEASE, uuid):
                found.pop(uuid, None)
    return found
