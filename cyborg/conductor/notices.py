# SPDX-License-Identifier: Apache-2.0
"""What the conductor tells of devices and hosts, in the words of its notifications.

    notices = Notices(store, Notifier(conf, "conductor"))
    operations.handle(notices.NOTIFY, notices.send)
    with store.transaction() as tx:
        after = hosts.save(tx, before, planned)
        notices.of_devices(tx, before, after)       # an operation for each, in the same commit

So what happened is told of, whoever dies and however long the broker is away; after a crash perhaps twice. While
notifications are off no row is written.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from cyborg.conductor.operations import Task
from cyborg.domain import health, inventory, reconcile, wire
from cyborg.domain.reconcile import ChangeKind
from cyborg.domain.report import Health
from cyborg.rpc.notifications import Notice, Notifier, Priority
from cyborg.store import operations
from cyborg.store.engine import Store, Transaction

#: The kind of these operations.
NOTIFY = "notify"
VERSION = "1.0"
HEALTH_CHANGED = "device.health.changed"
#: The changes that are told of, besides that of health.
TOLD = {
    ChangeKind.ADDED: ("device.added", Priority.INFO),
    ChangeKind.RETURNED: ("device.returned", Priority.INFO),
    ChangeKind.MISSING: ("device.missing", Priority.WARN),
    ChangeKind.RETIRED: ("device.retired", Priority.WARN),
}
BAD = frozenset({Health.FAILED, Health.DEGRADED})


class Notices:
    def __init__(self, store: Store, notifier: Notifier) -> None:
        self._store = store
        self._notifier = notifier

    @property
    def is_on(self) -> bool:
        return self._notifier.is_on

    def of_devices(self, tx: Transaction, before: inventory.Host, after: inventory.Host) -> None:
        """Record what became of the devices between the two values of a host."""
        if self.is_on:
            self._record(tx, after.name, device_notices(before, after))

    def host_up(self, tx: Transaction, name: str) -> None:
        self._record(tx, name, [Notice(event_type="host.up", priority=Priority.INFO, payload=_payload(name))])

    def host_down(self, tx: Transaction, name: str) -> None:
        self._record(tx, name, [Notice(event_type="host.down", priority=Priority.WARN, payload=_payload(name))])

    def send(self, task: Task) -> None:
        """The work of one such operation; raises Unavailable until the broker has it, however long that takes."""
        self._notifier.send(wire.from_wire(Notice, task.operation.payload))
        with self._store.transaction() as tx:
            task.finish(tx)

    def _record(self, tx: Transaction, host: str, notices: Iterable[Notice]) -> None:
        if self.is_on:
            rows = [operations.new(kind=NOTIFY, payload=wire.to_wire(one), hostname=host) for one in notices]
            operations.add(tx, rows)


def device_notices(before: inventory.Host, after: inventory.Host) -> Iterator[Notice]:
    old = {device.uuid: device for device in before.devices}
    for change in reconcile.changes(before, after):
        device, was = change.device, old.get(change.device.uuid)
        if change.kind in TOLD:
            event, priority = TOLD[change.kind]
            yield Notice(event_type=event, priority=priority, payload=_payload(after.name, device))
        if was is not None and change.kind is not ChangeKind.RETIRED and _judged(was) != _judged(device):
            priority = Priority.WARN if device.health in BAD else Priority.INFO
            payload = {**_payload(after.name, device), "health_before": str(was.health)}
            yield Notice(event_type=HEALTH_CHANGED, priority=priority, payload=payload)


def _judged(device: inventory.Device) -> tuple[Health, bool]:
    """Being locked out is more than to have failed: an operator has to act."""
    return device.health, health.LOCKED_OUT in device.health_reasons


def _payload(host: str, device: inventory.Device | None = None) -> dict[str, Any]:
    payload = {"version": VERSION, "host": host, "happened_at": operations.now().isoformat()}
    return payload if device is None else payload | {"device": _described(device)}


def _described(device: inventory.Device) -> dict[str, Any]:
    units = [unit for _, unit in device.accelerators()]
    return {
        "uuid": device.uuid,
        "driver": device.driver,
        "address": device.address,
        "serial": device.serial,
        "type": str(device.type),
        "vendor": device.vendor,
        "model": device.model,
        "status": str(device.status),
        "health": str(device.health),
        "health_reasons": list(device.health_reasons),
        "accelerators": len(units),
        "held": sum(unit.holder is not None for unit in units),
    }
