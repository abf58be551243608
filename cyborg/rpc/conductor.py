# SPDX-License-Identifier: Apache-2.0
"""What the API and the agents ask of the conductor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from oslo_config import cfg

from cyborg import context
from cyborg.domain import arq, inventory, wire
from cyborg.domain.report import DeviceReport
from cyborg.domain.shape import Shape
from cyborg.domain.status import Effect
from cyborg.domain.view import HostView
from cyborg.rpc import messaging


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAnswer:
    """``stale`` drivers are to be reported in full; ``view`` is None when the agent has the newest.

    ``sequences`` by driver come back with the reports, so that one which was overtaken on the way is known.
    """

    stale: tuple[str, ...] = ()
    view: HostView | None = None
    sequences: Mapping[str, int] = field(default_factory=dict)


class ConductorClient:
    """Every method raises what the conductor raised, or Unavailable when it does not answer."""

    def __init__(self, conf: cfg.ConfigOpts, transport: messaging.Transport) -> None:
        self._client = messaging.Client(conf, transport, messaging.CONDUCTOR_TOPIC)

    def sync(
        self,
        host: str,
        provider_uuid: str | None,
        digests: Mapping[str, str],
        generation: int,
        *,
        wish: Shape | None = None,
        idle: bool = False,
    ) -> SyncAnswer:
        """An agent's sign of life: what its drivers see, in digests, and the view that it has.

        ``digests`` names every enabled driver; "" for one that could not look. The devices of drivers that are not
        named are taken to be gone. ``wish`` is the shape that the host's options ask for; a host that has another
        one takes it when it has no devices, or when ``idle`` (Placement shows no allocations there) and nothing of it
        is held.
        """
        answer = self._client.call(
            context.service_context(),
            "sync",
            host=host,
            provider_uuid=provider_uuid,
            digests=dict(digests),
            generation=generation,
            wish=wire.to_wire(wish),
            idle=idle,
        )
        return wire.from_wire(SyncAnswer, answer)

    def report(self, seen: DeviceReport, sequence: int | None = None) -> HostView:
        """Store one driver's complete report; returns what Placement should show now.

        ``sequence`` is what the answer to `sync` had for the driver. Raises Conflict when the report was overtaken.
        """
        numbered = {} if sequence is None else {"sequence": sequence}
        answer = self._client.call(context.service_context(), "report", seen=wire.to_wire(seen), **numbered)
        return wire.from_wire(HostView, answer)

    def bind(self, ctxt: context.RequestContext, bindings: Sequence[arq.Binding]) -> None:
        """Bind all or none; returns when all are Bound."""
        self._client.call(ctxt, "bind", bindings=wire.to_wire(tuple(bindings)))

    def unbind(self, ctxt: context.RequestContext, arq_uuids: Sequence[str]) -> None:
        self._client.call(ctxt, "unbind", arq_uuids=list(arq_uuids))

    def delete_arqs(self, ctxt: context.RequestContext, arq_uuids: Sequence[str]) -> None:
        """Delete those that exist; unknown ones are no error here."""
        self._client.call(ctxt, "delete_arqs", arq_uuids=list(arq_uuids))

    def delete_for_instance(self, ctxt: context.RequestContext, instance_uuid: str) -> None:
        self._client.call(ctxt, "delete_for_instance", instance_uuid=instance_uuid)

    def set_device_status(
        self,
        ctxt: context.RequestContext,
        device_uuid: str,
        status: inventory.DeviceStatus,
        *,
        drain: bool = True,
        dry_run: bool = False,
        generation: int | None = None,
    ) -> Effect:
        """Enable or disable a device, or only see what that would do.

        Raises NotFound; InUse without ``drain`` while somebody holds something of it; Conflict when it is not at
        ``generation`` any more.
        """
        answer = self._client.call(
            ctxt,
            "set_device_status",
            device_uuid=device_uuid,
            status=str(status),
            drain=drain,
            dry_run=dry_run,
            generation=generation,
        )
        return wire.from_wire(Effect, answer)

    def set_host_status(self, ctxt: context.RequestContext, host: str, status: inventory.HostStatus) -> None:
        """Enable or disable a host, by name; raises NotFound."""
        self._client.call(ctxt, "set_host_status", host=host, status=str(status))
