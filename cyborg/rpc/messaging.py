# SPDX-License-Identifier: Apache-2.0
"""The envelope around every call: domain errors cross as values, never as pickled exceptions or traces.

An answer is ``{"result": ...}`` or ``{"error": {"code", "message"}}``. A code that this release does not
know becomes the base class, so peers of different releases understand each other.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from cyborg import context
from cyborg.domain import errors

LOG = log.getLogger(__name__)
CONDUCTOR_TOPIC = "cyborg-conductor"
AGENT_TOPIC = "cyborg-agent"

#: oslo.messaging's, opaque to everyone else.
Transport: TypeAlias = Any


class ContextSerializer(oslo_messaging.Serializer):
    """Contexts as plain mappings; everything else is JSON types already."""

    def serialize_entity(self, ctxt: Any, entity: Any) -> Any:
        return entity

    def deserialize_entity(self, ctxt: Any, entity: Any) -> Any:
        return entity

    def serialize_context(self, ctxt: context.RequestContext) -> dict[str, Any]:
        return ctxt.to_dict()

    def deserialize_context(self, ctxt: Mapping[str, Any]) -> context.RequestContext:
        return context.RequestContext.from_dict(ctxt)


def get_transport(conf: cfg.ConfigOpts) -> Transport:
    """The transport of ``[DEFAULT] transport_url``; one per process."""
    return oslo_messaging.get_rpc_transport(conf)


def get_server(transport: Transport, topic: str, name: str, endpoints: Sequence[object]) -> Any:
    """An RPC server, not started yet, that serves ``endpoints`` with native threads."""
    return oslo_messaging.get_rpc_server(
        transport,
        oslo_messaging.Target(topic=topic, server=name),
        list(endpoints),
        serializer=ContextSerializer(),
        access_policy=oslo_messaging.ExplicitRPCAccessPolicy,
    )


def exposed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make an endpoint's method callable from outside; what it raises becomes an answer."""

    @oslo_messaging.expose
    @functools.wraps(method)
    def serve(self: object, ctxt: context.RequestContext, **arguments: Any) -> dict[str, Any]:
        try:
            return {"result": method(self, ctxt, **arguments)}
        except errors.CyborgError as exc:
            return {"error": {"code": exc.code, "message": exc.message}}
        except Exception:  # an endpoint's edge: the caller gets an answer, the operator the trace
            LOG.exception("%s failed", method.__name__)
            return {"error": {"code": errors.CyborgError.code, "message": f"{method.__name__} failed; see the log."}}

    return cast("Callable[..., Any]", serve)


class Client:
    """Calls one topic; every failure to get an answer is errors.Unavailable."""

    def __init__(self, conf: cfg.ConfigOpts, transport: Transport, topic: str) -> None:
        self._topic = topic
        self._client = oslo_messaging.get_rpc_client(
            transport, oslo_messaging.Target(topic=topic), timeout=conf.bind_timeout, serializer=ContextSerializer()
        )

    def call(self, ctxt: context.RequestContext, method: str, **arguments: Any) -> Any:
        """The result; raises what the other side raised, or Unavailable."""
        try:
            answer = self._client.prepare(retry=1).call(ctxt, method, **arguments)
        except (oslo_messaging.MessagingException, OSError) as exc:
            raise errors.Unavailable(f"{self._topic} does not answer ({exc}). Try again shortly.") from exc
        if "error" in answer:
            cls = errors.by_code().get(answer["error"]["code"], errors.CyborgError)
            raise cls(answer["error"]["message"])
        return answer["result"]

    def cast(self, ctxt: context.RequestContext, server: str, method: str, **arguments: Any) -> None:
        """Send and forget, to the one process named ``server``."""
        try:
            self._client.prepare(server=server, retry=0).cast(ctxt, method, **arguments)
        except (oslo_messaging.MessagingException, OSError) as exc:
            raise errors.Unavailable(f"{self._topic} on {server} cannot be reached ({exc}).") from exc
