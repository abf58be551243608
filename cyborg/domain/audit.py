# SPDX-License-Identifier: Apache-2.0
"""compare(books, seen): every difference between what is stored of a host and what Placement shows, with its cause.

    books       what the host's row, its hardware and its requests say
    seen        the providers of its tree, and who holds something of ours there

Values in, differences out. A difference that somebody can mend says how; the rest needs a person.

    PUBLISH     the host's agent makes Placement equal to the view again
    CLOSE       the agent is dead, so what is free is taken off the market in its place
    RELEASE     a request gives its accelerator back: no server holds an allocation for it
"""

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cyborg.domain import arq, audit_providers, inventory, liveness, reshape
from cyborg.domain.audit_providers import Seen

#: An accelerator may be held in these states; in the first two it must be.
MUST_HOLD = frozenset({arq.State.BOUND, arq.State.BIND_STARTED})
MAY_HOLD = MUST_HOLD | {arq.State.BIND_FAILED, arq.State.UNBIND_FAILED, arq.State.DELETING}


class Kind(StrEnum):
    PROVIDER_UNKNOWN = "provider_unknown"
    PROVIDER_MISSING = "provider_missing"
    CLASS_MISSING = "class_missing"
    INVENTORY_DIFFERS = "inventory_differs"
    TRAIT_MISSING = "trait_missing"
    TRAIT_EXTRA = "trait_extra"
    CLAIM_WITHOUT_REQUEST = "claim_without_request"
    CLAIM_DIFFERS = "claim_differs"
    REQUEST_WITHOUT_CLAIM = "request_without_claim"
    REQUEST_WITHOUT_ACCELERATOR = "request_without_accelerator"
    WRONG_HOLDER = "wrong_holder"
    HELD_DEVICE_MISSING = "held_device_missing"
    HOST_DOWN = "host_down"
    RESHAPE_UNFINISHED = "reshape_unfinished"
    OPERATION_LATE = "operation_late"


class Repair(StrEnum):
    NONE = "none"
    PUBLISH = "publish"
    CLOSE = "close"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``subject`` is the uuid or name that it is about; the first three members identify it. ``host`` "" is no host."""

    kind: Kind
    host: str
    subject: str
    text: str
    repair: Repair = Repair.NONE
    repaired: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        return self.host, str(self.kind), self.subject

    def __str__(self) -> str:
        state = " [repaired]" if self.repaired else ""
        return f"{self.host or '-'}: {self.kind}: {self.subject}: {self.text}{state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """``requests`` by uuid: those on the host, and all that hold something of it.

    ``elsewhere`` are servers with requests on another host: an evacuated server keeps its old allocation for a time.
    """

    host: inventory.Host
    requests: Mapping[str, arq.Arq] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``grace``: a request bound more recently is not missed in Placement; ``patience``: see `liveness`."""

    moment: datetime.datetime
    grace: datetime.timedelta
    patience: datetime.timedelta


def compare(books: Books, seen: Seen | None, limits: Limits) -> list[Difference]:
    """``seen`` None: the host's own provider is not known, so there is nothing to compare with."""
    host = books.host
    found = [*_host(host, limits), *_holders(books)]
    if seen is None or host.moving_to is not None:
        return found
    found += _providers(host, seen)
    if host.provider_uuid in seen.providers:
        # Without its own provider nothing can be said of who holds what: nobody may lose a card by that.
        found += [*_foreign_claims(books, seen), *_lost_claims(books, seen, limits)]
    return found


def consumers(host: inventory.Host, seen: Seen) -> dict[str, int]:
    """Accelerators of the host that each consumer has allocated."""
    ours = reshape.our_classes(host, host.shape)
    counted = {consumer: reshape.count_units(claims, ours) for consumer, claims in seen.consumers.items()}
    return {consumer: units for consumer, units in counted.items() if units}


def _host(host: inventory.Host, limits: Limits) -> Iterator[Difference]:
    name = host.name
    if host.seen_at is not None and liveness.is_down(host, limits.moment, limits.patience):
        text = f"its agent was last heard of {_age(limits.moment - host.seen_at)} ago; start cyborg-agent there"
        yield Difference(kind=Kind.HOST_DOWN, host=name, subject=name, text=text)
    if host.provider_uuid is None and host.devices:
        text = "its agent has not found a resource provider of that name; see [agent] resource_provider_name there"
        yield Difference(kind=Kind.PROVIDER_UNKNOWN, host=name, subject=name, text=text)
    if host.moving_to is not None:
        text = f"a move to {host.moving_to} was begun; run 'cyborg-manage placement reshape' for it again"
        yield Difference(kind=Kind.RESHAPE_UNFINISHED, host=name, subject=name, text=text)


def _holders(books: Books) -> Iterator[Difference]:
    host = books.host
    holders = {unit.holder: (device, unit) for device, _, unit in host.units() if unit.holder}
    for uuid, (device, unit) in holders.items():
        request = books.requests.get(uuid)
        if request is None or request.state not in MAY_HOLD or request.hostname != host.name:
            state = "unknown" if request is None else f"{request.state} on host {request.hostname}"
            text = f"it holds accelerator {unit.uuid} ({device.address}) and is {state}"
            yield Difference(kind=Kind.WRONG_HOLDER, host=host.name, subject=uuid, text=text, repair=Repair.RELEASE)
        if unit.missing or device.absences:
            text = f"{device.address} is missing from reports while request {uuid} holds it; look at the card"
            yield Difference(kind=Kind.HELD_DEVICE_MISSING, host=host.name, subject=device.uuid, text=text)
    for request in books.requests.values():
        if request.hostname == host.name and request.state in MUST_HOLD and request.uuid not in holders:
            text = f"it is {request.state} for server {request.instance_uuid} and holds no accelerator"
            yield Difference(
                kind=Kind.REQUEST_WITHOUT_ACCELERATOR,
                host=host.name,
                subject=request.uuid,
                text=text,
                repair=Repair.RELEASE,
            )


def _providers(host: inventory.Host, seen: Seen) -> Iterator[Difference]:
    for finding in audit_providers.compare(host, seen):
        yield Difference(
            kind=Kind(finding.kind),
            host=host.name,
            subject=finding.subject,
            text=finding.text,
            repair=Repair.PUBLISH if host.down_since is None else Repair.CLOSE,
        )


def _holding(books: Books) -> list[arq.Arq]:
    holders = {unit.holder for _, _, unit in books.host.units()}
    return [one for one in books.requests.values() if one.uuid in holders and one.state in MUST_HOLD]


def _foreign_claims(books: Books, seen: Seen) -> Iterator[Difference]:
    host = books.host
    bound = Counter(one.instance_uuid for one in _holding(books))
    for consumer, units in sorted(consumers(host, seen).items()):
        if not bound[consumer] and consumer not in books.elsewhere:
            text = (
                f"{units} unit(s) are allocated and no request is bound: a server that is being built, or a flavor "
                f"that names the class without a device profile{_since(seen.ages.get(consumer))}"
            )
            yield Difference(kind=Kind.CLAIM_WITHOUT_REQUEST, host=host.name, subject=consumer, text=text)
        elif bound[consumer] not in (0, units):
            text = f"{units} unit(s) are allocated and {bound[consumer]} request(s) bound"
            yield Difference(kind=Kind.CLAIM_DIFFERS, host=host.name, subject=consumer, text=text)


def _lost_claims(books: Books, seen: Seen, limits: Limits) -> Iterator[Difference]:
    """A server that has something else allocated here is running: its card is not taken away."""
    claimed = consumers(books.host, seen)
    for request in _holding(books):
        since = _bound_since(request)
        if request.instance_uuid in claimed or since is None or limits.moment - since < limits.grace:
            continue
        here = request.instance_uuid in seen.consumers
        cause = (
            "is on this host and has no accelerator allocated: somebody changed its allocation"
            if here
            else "has nothing allocated on this host: an unshelve that failed leaves this"
        )
        yield Difference(
            kind=Kind.REQUEST_WITHOUT_CLAIM,
            host=books.host.name,
            subject=request.uuid,
            text=f"{request.state} for {_age(limits.moment - since)} for server {request.instance_uuid}, which {cause}",
            repair=Repair.NONE if here else Repair.RELEASE,
        )


def _bound_since(request: arq.Arq) -> datetime.datetime | None:
    text = request.entered.get(request.state)
    return None if text is None else datetime.datetime.fromisoformat(text)


def _since(seconds: float | None) -> str:
    return "" if seconds is None else f", for {_age(datetime.timedelta(seconds=seconds))}"


def _age(age: datetime.timedelta) -> str:
    return str(datetime.timedelta(seconds=int(age.total_seconds())))
