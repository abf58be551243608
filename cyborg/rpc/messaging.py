# SPDX-License-Identifier: Apache-2.0
"""The envelope around every call: domain errors cross as values, never as pickled exceptions or traces.

An answer is ``{"result": ...}`` or ``{"error": {"code", "message"}}``. A code that this release does not
know becomes the base class, so peers of different releases understand each other.
"""

import concurrent.futures
import functools
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import amqp.exceptions
import kombu.exceptions
import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from cyborg import context, crash
from cyborg.domain import errors

LOG = log.getLogger(__name__)
#: The second words of the queues' names; see `queue_name`.
CONDUCTOR_TOPIC = "conductor"
AGENT_TOPIC = "agent"
#: Seconds for which a server that stops waits for its last answers. A caller that gets none asks again.
STOP_PATIENCE = 6.0
AMQP_PORT = 5672
CONNECT_TIMEOUT = 2.0
#: Seconds for which a process that works on a call may be silent. One that is not there is not waited for any longer.
SILENCE = 10

#: What keeps a message from going out. oslo.messaging lets some of its libraries' own errors through.
TROUBLE = (oslo_messaging.MessagingException, kombu.exceptions.KombuError, amqp.exceptions.AMQPError, OSError)

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
    """The transport of ``[DEFAULT] transport_url``, one per process; raises InvalidRequest without one.

    Nothing is spoken to yet. oslo.messaging itself would take a broker on this machine for granted, and wait for it.
    """
    try:
        url = oslo_messaging.TransportURL.parse(conf)
    except oslo_messaging.InvalidTransportURL as exc:
        raise errors.InvalidRequest("[DEFAULT] transport_url names no message broker; set it to a URL.") from exc
    if url.transport == "rabbit" and not url.hosts:
        raise errors.InvalidRequest("No message broker is configured; set [DEFAULT] transport_url.")
    return oslo_messaging.get_rpc_transport(conf)


def queue_name(conf: cfg.ConfigOpts, topic: str) -> str:
    """``cyborg-conductor`` and the like.

    Queues belong to a whole virtual host of the broker, whatever the exchange is. With the exchange's name in theirs,
    installations of different ``[DEFAULT] control_exchange`` do not take each other's messages.
    """
    return f"{conf.control_exchange}-{topic}"


class Server:
    """Serves ``endpoints`` with ``[DEFAULT] thread_pool_size`` native threads, until it is stopped; once."""

    def __init__(self, transport: Transport, topic: str, name: str, endpoints: Sequence[object]) -> None:
        conf = transport.conf
        conf.set_default("executor_thread_pool_size", conf.thread_pool_size)
        self._name = queue_name(conf, topic)
        self._server = oslo_messaging.get_rpc_server(
            transport,
            oslo_messaging.Target(topic=self._name, server=name),
            list(endpoints),
            serializer=ContextSerializer(),
            access_policy=oslo_messaging.ExplicitRPCAccessPolicy,
        )
        self._ending = threading.Thread(target=self._end, name=f"{self._name}-ending", daemon=True)
        self._patience_ends = 0.0

    def start(self) -> None:
        """Returns when requests are served, which takes until the broker is there."""
        self._server.start()

    def stop(self) -> None:
        """Take no more requests; returns at once, and may be called twice."""
        if not self._patience_ends:
            self._patience_ends = time.monotonic() + STOP_PATIENCE
            self._ending.start()

    def wait(self) -> None:
        """After `stop`: returns when the requests in hand are answered, or the broker has kept that waiting."""
        self._ending.join(max(0.0, self._patience_ends - time.monotonic()))
        if self._ending.is_alive():
            LOG.warning("%s is left without a farewell: the broker does not answer.", self._name)

    def _end(self) -> None:
        self._server.stop()
        self._unsubscribe()
        self._server.wait()

    def _unsubscribe(self) -> None:
        """Serve what the broker has sent us, and have it send the rest to others.

        oslo.messaging ends by deleting a queue of its own while it still subscribes to those of the topic. What comes
        in meanwhile it confirms and forgets: without this, whoever calls when a server stops waits for nothing.
        """
        listener: Any = getattr(self._server.listener, "_poll_style_listener", None)
        if not hasattr(listener, "conn"):
            return  # messages within a process
        try:
            for consumer, tag in listener.conn._consumers.items():
                consumer.cancel(tag=tag)
        except TROUBLE as exc:
            LOG.debug("%s leaves a broker that is away: %s", self._name, exc)
        while taken := listener.poll():
            self._server._on_incoming(taken)


def get_server(transport: Transport, topic: str, name: str, endpoints: Sequence[object]) -> Server:
    """An RPC server, not started yet."""
    return Server(transport, topic, name, endpoints)


def exposed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make an endpoint's method callable from outside; what it raises becomes an answer."""

    @oslo_messaging.expose
    @functools.wraps(method)
    def serve(self: object, ctxt: context.RequestContext, **arguments: Any) -> dict[str, Any]:
        crash.point("rpc.received")
        try:
            return {"result": method(self, ctxt, **arguments)}
        except errors.CyborgError as exc:
            return {"error": {"code": exc.code, "message": exc.message}}
        except Exception:  # an endpoint's edge: the caller gets an answer, the operator the trace
            LOG.exception("%s failed", method.__name__)
            return {"error": {"code": errors.CyborgError.code, "message": f"{method.__name__} failed; see the log."}}
        finally:
            crash.point("rpc.before_answer")

    return cast("Callable[..., Any]", serve)


class Brokers:
    """Of a transport URL. oslo.messaging waits for its first connection without an end; a caller of ours must not."""

    def __init__(self, url: oslo_messaging.TransportURL) -> None:
        hosts = url.hosts if url.transport == "rabbit" else ()
        self._addresses = [(host.hostname, host.port or AMQP_PORT) for host in hosts]

    def answer(self) -> bool:
        """Whether any of them does now; True where there is none to ask."""
        for address in self._addresses:
            try:
                socket.create_connection(address, CONNECT_TIMEOUT).close()
            except OSError as exc:
                LOG.debug("No broker at %s: %s", address, exc)
            else:
                return True
        return not self._addresses


class Client:
    """Calls one topic; every failure to get an answer is errors.Unavailable."""

    def __init__(self, conf: cfg.ConfigOpts, transport: Transport, topic: str) -> None:
        self._name = queue_name(conf, topic)
        self._timeout = conf.bind_timeout
        self._client = oslo_messaging.get_rpc_client(
            transport, oslo_messaging.Target(topic=self._name), timeout=self._timeout, serializer=ContextSerializer()
        )
        self._brokers = Brokers(oslo_messaging.TransportURL.parse(conf))
        self._reached = False

    def call(self, ctxt: context.RequestContext, method: str, **arguments: Any) -> Any:
        """The result; raises what the other side raised, or Unavailable."""
        return self._call(self._client.prepare(retry=1), ctxt, method, arguments)

    def call_server(self, server: str, ctxt: context.RequestContext, method: str, **arguments: Any) -> Any:
        """As `call`, of the one process named ``server``, which has to give a sign of life now and then meanwhile."""
        silence = max(2, min(SILENCE, self._timeout))
        prepared = self._client.prepare(server=server, retry=1, call_monitor_timeout=silence)
        return self._call(prepared, ctxt, method, arguments, silence)

    def _call(
        self,
        prepared: Any,
        ctxt: context.RequestContext,
        method: str,
        arguments: Mapping[str, Any],
        silence: float | None = None,
    ) -> Any:
        self._reached = self._reached or self._brokers.answer()
        if not self._reached:
            raise errors.Unavailable(f"{self._name} cannot be reached: no message broker answers. Try again shortly.")
        crash.point("rpc.before_call")
        try:
            answer = self._within_timeout(functools.partial(prepared.call, ctxt, method, **arguments))
        except (oslo_messaging.MessagingTimeout, concurrent.futures.TimeoutError) as exc:
            raise errors.Unavailable(
                f"{self._name} did not answer within {silence or self._timeout} seconds. See whether it runs, and try "
                "again."
            ) from exc
        except (oslo_messaging.RemoteError, oslo_messaging.RPCDispatcherError) as exc:
            # The text of the first carries the other side's trace, which is for neither users nor logs.
            raise errors.Unavailable(
                f"{self._name} does not understand {method!r}. Bring it to the release of its callers."
            ) from exc
        except TROUBLE as exc:
            LOG.debug("%s cannot be reached for %s: %s", self._name, method, exc)
            raise errors.Unavailable(f"{self._name} cannot be reached now; try again shortly.") from exc
        crash.point("rpc.after_call")
        if "error" in answer:
            cls = errors.by_code().get(answer["error"]["code"], errors.CyborgError)
            raise cls(answer["error"]["message"])
        return answer["result"]

    def _within_timeout(self, call: Callable[[], Any]) -> Any:
        """The answer, or TimeoutError, whatever the broker does.

        oslo.messaging's own time-out is for the answer alone. For a broker that takes the request and does not say so,
        or lets nobody connect, it waits several times as long. What is given up here ends by itself, later, and may
        then be done after all; as a request that was taken in time may, whose answer comes too late.
        """
        outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def run() -> None:
            try:
                outcome.set_result(call())
            except BaseException as exc:  # noqa: BLE001  raised where the outcome is waited for
                outcome.set_exception(exc)

        threading.Thread(target=run, name=f"call-{self._name}", daemon=True).start()
        return outcome.result(self._timeout + CONNECT_TIMEOUT)

    def cast(self, ctxt: context.RequestContext, server: str, method: str, **arguments: Any) -> None:
        """Send and forget, to the one process named ``server``."""
        crash.point("rpc.before_cast")
        try:
            self._client.prepare(server=server, retry=0).cast(ctxt, method, **arguments)
        except TROUBLE as exc:
            raise errors.Unavailable(f"{self._name} on {server} cannot be reached now.") from exc
        crash.point("rpc.after_cast")
