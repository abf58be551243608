# SPDX-License-Identifier: Apache-2.0
"""Compare books and Placement, host by host, and mend what may be mended.

    auditor = Auditor(conf, store, client)
    for difference in auditor.run(repair=True):
        print(difference)

What changes at this very moment looks like a difference and is none: a host with differences is looked at twice,
and only what is there both times counts. The agent stays the one who writes its host's providers; an audit hands it
its view again. Only for an agent that is dead it closes what is still offered.
"""

import dataclasses
import datetime
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from oslo_config import cfg
from oslo_log import log

from cyborg.conductor import host_work, releasing
from cyborg.domain import arq, audit, errors, inventory, reshape
from cyborg.domain.audit import Difference, Kind, Repair
from cyborg.placement.client import PlacementClient
from cyborg.placement.mover import Mover
from cyborg.placement.survey import Surveyor
from cyborg.store import arqs, host_list, hosts, operations
from cyborg.store.engine import Store

LOG = log.getLogger(__name__)
PAGE = 50


class Auditor:
    """``pause`` is how long after the first look the second one is; ``goes_on`` is asked between pages of hosts."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        store: Store,
        client: PlacementClient,
        *,
        pause: float = 2.0,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._surveyor = Surveyor(client)
        self._mover = Mover(client)
        self._grace = datetime.timedelta(seconds=conf.conductor.audit_grace)
        self._patience = datetime.timedelta(seconds=conf.api.host_down_after)
        self._pause = pause
        self._goes_on = goes_on

    def run(self, only: str | None = None, *, repair: bool = False) -> Iterator[Difference]:
        """Of all hosts, or of one; NotFound for an unknown one. Raises PlacementError or Unavailable on the way."""
        if only is not None and self._look(only) is None:
            raise errors.NotFound(f"There is no host {only!r} with an agent; see the hostname of the devices.")
        for names in self._pages() if only is None else [(only,)]:
            left: dict[str, list[Difference]] = {name: [] for name in names}
            for difference in self._of_hosts(names):
                done = self._repaired(difference) if repair else difference
                if not done.repaired:
                    left[done.host].append(done)
                yield done
            self._store.retrying(self._note, left)
            if not self._goes_on():
                return
        if only is None:
            yield from self._operations()

    def _pages(self) -> Iterator[tuple[str, ...]]:
        last = ""
        while True:
            with self._store.reading() as tx:
                names = hosts.names(tx, last, PAGE)
            if not names:
                return
            yield names
            last = names[-1]

    def _of_hosts(self, names: Collection[str]) -> list[Difference]:
        first = {name: self._look(name) for name in names}
        again = [name for name, found in first.items() if found]
        if not again:
            return []
        time.sleep(self._pause)
        differences = []
        for name in again:
            known = {one.key for one in first[name] or ()}
            differences += [one for one in self._look(name) or () if one.key in known]
        return differences

    def _look(self, name: str) -> list[Difference] | None:
        """None when there is no such host (any more)."""
        with self._store.reading() as tx:
            host = hosts.load(tx, name)
            if host is None:
                return None
            requests = {one.uuid: one for one in arqs.page(tx, arqs.Filter(hostname=name))}
            requests |= arqs.get(tx, _holders(host) - requests.keys())
        books = audit.Books(host=host, requests=requests)
        limits = audit.Limits(moment=operations.now(), grace=self._grace, patience=self._patience)
        if host.provider_uuid is None or host.moving_to is not None:
            return audit.compare(books, None, limits)
        seen = self._surveyor.look(host.provider_uuid, reshape.our_classes(host, host.shape))
        foreign = audit.consumers(host, seen).keys() - {one.instance_uuid for one in requests.values()}
        if foreign:
            with self._store.reading() as tx:
                elsewhere = arqs.bound_instances(tx, foreign)
            books = dataclasses.replace(books, elsewhere=elsewhere)
            seen = dataclasses.replace(seen, ages=self._surveyor.ages(sorted(foreign - elsewhere)))
        return audit.compare(books, seen, limits)

    def _note(self, left: Mapping[str, Sequence[Difference]]) -> None:
        """For who lists hosts."""
        with self._store.transaction() as tx:
            host_list.note_drift(tx, operations.now(), left)

    def _operations(self) -> Iterator[Difference]:
        moment = operations.now()
        with self._store.reading() as tx:
            late = operations.late(tx, moment)
        for one in late:
            text = f"{one.kind} should have ended at {one.deadline}; {one.attempts} attempt(s), last: {one.last_error}"
            yield Difference(kind=Kind.OPERATION_LATE, host="", subject=one.uuid, text=text)

    def _repaired(self, one: Difference) -> Difference:
        work = {Repair.PUBLISH: self._hand_out, Repair.CLOSE: self._close, Repair.RELEASE: self._release}.get(
            one.repair
        )
        if work is None:
            return one
        done = self._store.retrying(work, one)
        return dataclasses.replace(one, repaired=done)

    def _hand_out(self, one: Difference) -> bool:
        """A higher generation: the agent gets its view with its next report, and makes Placement equal to it."""
        with self._store.transaction() as tx:
            before = hosts.load(tx, one.host)
            if before is not None:
                hosts.save(tx, before, dataclasses.replace(before, generation=before.generation + 1))
        return True

    def _close(self, one: Difference) -> bool:
        with self._store.reading() as tx:
            host = hosts.load(tx, one.host)
        if host is not None and host.down_since is not None:
            close(self._mover, host)
        return True

    def _release(self, one: Difference) -> bool:
        """As unbind does it, if the request is still as it was looked at; what else it may hold is freed, too."""
        with self._store.transaction() as tx:
            stored = arqs.get(tx, [one.subject], lock=True)
            request = stored.get(one.subject)
            if request is None or not arq.may_follow(request.state, arq.State.UNBOUND):
                return request is None
            elsewhere = set(hosts.names_of_arqs(tx, stored)) - {request.hostname}
            _, work = releasing.take_back(tx, stored, elsewhere)
            operations.add(tx, [host_work.row(one) for one in work])
        LOG.info("Request %s is released by an audit: %s", one.subject, one.text)
        return True


def close(mover: Mover, host: inventory.Host) -> None:
    """Take what is free on a host off the market, in the place of an agent that is dead."""
    mover.close(reshape.our_classes(host, host.shape), host.owned_traits)


def _holders(host: inventory.Host) -> set[str]:
    return {unit.holder for _, _, unit in host.units() if unit.holder is not None}
