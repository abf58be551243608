# SPDX-License-Identifier: Apache-2.0
"""Reports in, views out: what agents see becomes what is stored, and that what Placement should show."""

import dataclasses
from typing import Any

from oslo_config import cfg
from oslo_log import log

from cyborg import context
from cyborg.conductor import host_work
from cyborg.conductor.notices import Notices
from cyborg.conductor.operations import Operation
from cyborg.domain import errors, flow, inventory, reconcile, status, view, wire
from cyborg.domain.report import DeviceReport
from cyborg.domain.shape import DEFAULT_SHAPE, Shape
from cyborg.rpc import conductor, messaging
from cyborg.store import devices, hosts, operations

LOG = log.getLogger(__name__)
#: Of the report of a driver that is not enabled any more.
NOTHING = DeviceReport(host="", driver="").digest
#: A generation that no view has.
UNKNOWN = -1


class InventoryEndpoint:
    """RPC endpoint: sync, report, set_device_status, set_host_status."""

    def __init__(self, conf: cfg.ConfigOpts, means: host_work.Means, told: Notices) -> None:
        self._absence_limit = conf.conductor.absence_limit
        self._means = means
        self._store = means.store
        self._announcer = means.announcer
        self._notices = told

    @messaging.exposed
    def sync(
        self,
        ctxt: context.RequestContext,
        host: str,
        provider_uuid: str | None,
        digests: dict[str, str],
        generation: int,
        *,
        wish: dict[str, str] | None = None,
        idle: bool = False,
    ) -> Any:
        """What is stale on our side, and the view if the agent's is; see rpc.conductor.ConductorClient."""
        wanted_shape = DEFAULT_SHAPE if wish is None else wire.from_wire(Shape, wish)
        known = self._store.retrying(self._sync, host, provider_uuid, digests, wanted_shape)
        if known.returned:
            LOG.info("Host %s is up again", host)
            self._means.operations.look()
        if wish is not None and known.shape != wanted_shape:
            self._store.retrying(self._take_shape, host, wanted_shape, idle)
            generation = UNKNOWN
        for driver, stored in known.digests.items():
            if driver not in digests and stored != NOTHING:
                self._take(DeviceReport(host=host, driver=driver))
                generation = UNKNOWN
        wanted = None if known.generation == generation else self._view(host)
        return wire.to_wire(conductor.SyncAnswer(stale=known.stale, view=wanted, sequences=known.sequences))

    @messaging.exposed
    def report(self, ctxt: context.RequestContext, seen: dict[str, Any], sequence: int | None = None) -> Any:
        """Store one complete report; the host's view. Conflict for one that was overtaken on its way."""
        return wire.to_wire(view.view(self._take(wire.from_wire(DeviceReport, seen), sequence)))

    def _take(self, complete: DeviceReport, sequence: int | None = None) -> inventory.Host:
        before, after = self._store.retrying(self._apply, complete, sequence)
        for change in reconcile.changes(before, after):
            device = change.device
            LOG.info("%s: %s %s %s (%s)", after.name, device.driver, device.address, change.kind, device.uuid)
        self._tell()
        return after

    def _tell(self) -> None:
        """After a commit: notifications that are in it are due at once."""
        if self._notices.is_on:
            self._means.operations.look()

    @messaging.exposed
    def set_device_status(
        self,
        ctxt: context.RequestContext,
        device_uuid: str,
        status: str,
        *,
        drain: bool = True,
        dry_run: bool = False,
        generation: int | None = None,
    ) -> Any:
        """Enable or disable a device; see rpc.conductor.ConductorClient. Holders keep what they hold."""
        wanted = inventory.DeviceStatus(status)
        after, effect, work = self._store.retrying(
            self._set_device, device_uuid, wanted, drain=drain, dry_run=dry_run, generation=generation
        )
        if not dry_run:
            self._means.operations.wake(work)
            self._tell()
            LOG.info("Device %s of %s is %s, by user %s", device_uuid, after.name, wanted, ctxt.user_id)
            self._announcer.announce([after])
        return wire.to_wire(effect)

    @messaging.exposed
    def set_host_status(self, ctxt: context.RequestContext, host: str, status: str) -> None:
        """Enable or disable a host; NotFound. Holders keep what they hold."""
        wanted = inventory.HostStatus(status)
        after = self._store.retrying(self._set_host, host, wanted)
        LOG.info("Host %s is %s, by user %s", host, wanted, ctxt.user_id)
        self._announcer.announce([after])

    def _sync(self, host: str, provider_uuid: str | None, digests: dict[str, str], shape: Shape) -> hosts.Sync:
        with self._store.transaction() as tx:
            known = hosts.sync(tx, host, provider_uuid, digests, shape)
            if known.returned:
                self._notices.host_up(tx, host)
                operations.hasten(tx, host)
            return known

    def _take_shape(self, host: str, wish: Shape, idle: bool) -> None:  # noqa: FBT001  by way of Store.retrying
        """Another shape without moving anything, so only where there is nothing to move."""
        with self._store.transaction() as tx:
            before = hosts.load(tx, host)
            if before is None or before.moving_to is not None or not _may_take_shape(before, idle=idle):
                return
            hosts.save(tx, before, view.advance(before, dataclasses.replace(before, shape=wish)))
        LOG.info("%s: %s now, as its agent is configured", host, wish)

    def _view(self, host: str) -> view.HostView | None:
        with self._store.transaction() as tx:
            stored = hosts.load(tx, host)
        return None if stored is None else view.view(stored)

    def _apply(self, seen: DeviceReport, sequence: int | None) -> tuple[inventory.Host, inventory.Host]:
        with self._store.transaction() as tx:
            before = hosts.get_or_create(tx, seen.host)
            planned = reconcile.plan(
                before,
                seen,
                absence_limit=self._absence_limit,
                moment=int(operations.now().timestamp()),
                rules=self._means.rules,
            )
            after = hosts.save(tx, before, view.advance(before, planned))
            self._notices.of_devices(tx, before, after)
            digest = seen.digest if reconcile.settled(after, seen) else ""
            hosts.set_digest(tx, after, seen.driver, digest, sequence)
        return before, after

    def _set_device(
        self, device_uuid: str, wanted: inventory.DeviceStatus, *, drain: bool, dry_run: bool, generation: int | None
    ) -> tuple[inventory.Host, status.Effect, list[Operation]]:
        with self._store.transaction() as tx:
            name = hosts.of_device(tx, device_uuid)
            before = None if name is None else hosts.load(tx, name)
            if before is None:
                raise errors.NotFound(f"There is no device {device_uuid}.")
            if generation is not None:
                devices.check_generation(tx, device_uuid, generation)
            after, work = status.with_device(before, device_uuid, wanted), tuple[flow.Work, ...]()
            if wanted is inventory.DeviceStatus.ENABLED:
                after, work = flow.clean_again(after, device_uuid, reconcile.new_uuid)
            effect = status.effect(before, after, device_uuid)
            if dry_run:
                return before, effect, []
            if effect.refusal and not drain:
                raise errors.InUse(effect.refusal)
            saved = host_work.save(tx, before, after)
            self._notices.of_devices(tx, before, saved)
            rows = self._means.rows(work)
            operations.add(tx, rows)
            return saved, effect, rows

    def _set_host(self, name: str, wanted: inventory.HostStatus) -> inventory.Host:
        with self._store.transaction() as tx:
            before = hosts.load(tx, name)
            if before is None:
                raise errors.NotFound(f"There is no host {name!r}.")
            return hosts.save(tx, before, view.advance(before, dataclasses.replace(before, status=wanted)))


def _may_take_shape(host: inventory.Host, *, idle: bool) -> bool:
    return not host.devices or (idle and all(unit.holder is None for _, _, unit in host.units()))
