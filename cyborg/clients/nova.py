# SPDX-License-Identifier: Apache-2.0
"""Nova: tell it that accelerator requests of a server are bound, or that they failed.

`Nova` posts to ``/os-server-external-events`` (Compute API reference, "Create External Events"). Nova answers each
event by itself; what the codes mean for us:

    200   delivered
    422   the server is not on a host yet; Nova reads the state by itself before it waits: done
    404   there is no such server: done, nobody is waiting
    400   Nova does not understand the event: done, and logged, since asking again cannot help
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import keystoneauth1.exceptions
import openstack.connection
import openstack.exceptions
from keystoneauth1 import loading
from oslo_config import cfg
from oslo_log import log

from cyborg import crash
from cyborg.conf import credentials
from cyborg.domain import errors

LOG = log.getLogger(__name__)
EVENT_NAME = "accelerator-request-bound"
#: The first compute microversion that knows the event.
MICROVERSION = "2.82"
#: Refusals that end when an operator mends the credentials or the load goes down.
TRY_AGAIN = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The outcome of one request; ``completed`` or failed."""

    arq_uuid: str
    instance_uuid: str
    completed: bool

    def body(self) -> dict[str, str]:
        return {
            "name": EVENT_NAME,
            "server_uuid": self.instance_uuid,
            "tag": self.arq_uuid,
            "status": "completed" if self.completed else "failed",
        }


class Events(Protocol):
    """Where events go."""

    def send(self, events: Sequence[Event]) -> None:
        """Offer the events of one server in one call; raises Unavailable when it should be tried again."""


class Nova:
    """The real one, through openstacksdk with the credentials of ``[nova]``. For one thread."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        auth = credentials.load(conf, "nova")
        self._session = loading.load_session_from_conf_options(conf, "nova", auth=auth)
        self._conf = conf
        self._compute: Any = None

    def send(self, events: Sequence[Event]) -> None:
        body = {"events": [event.body() for event in events]}
        try:
            answer = self._connected().post("/os-server-external-events", json=body, microversion=MICROVERSION)
        except (keystoneauth1.exceptions.ClientException, openstack.exceptions.SDKException, OSError) as exc:
            self._compute = None
            silent = isinstance(exc, keystoneauth1.exceptions.ConnectionError | OSError)
            reason = errors.system_words(exc) or ("no answer" if silent else str(exc).rstrip("."))
            raise errors.Unavailable(f"Nova cannot be reached: {reason}.") from exc
        status = answer.status_code
        crash.point("nova.after_send")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in TRY_AGAIN:
            raise errors.Unavailable(f"Nova answered {status} to {len(events)} event(s).")
        if status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.NOT_FOUND:
            LOG.error("Nova refused events with %s and will not be asked again: %s", status, answer.text)
            return
        for outcome in _outcomes(answer):
            if outcome.get("code") == HTTPStatus.BAD_REQUEST:
                LOG.error("Nova did not understand the event %s", outcome)

    def _connected(self) -> Any:
        """Made when it is needed: openstacksdk asks Keystone and Nova for it, which may be away when we start."""
        if self._compute is None:
            connection = openstack.connection.Connection(
                session=self._session, oslo_conf=self._conf, service_types=["compute"]
            )
            self._compute = connection.compute
        return self._compute


def _outcomes(answer: Any) -> Iterable[dict[str, Any]]:
    try:
        return list(answer.json().get("events", ()))
    except (ValueError, AttributeError):
        return ()


class NoNova:
    """Used where no credentials are configured: nobody is told, binds are complete all the same."""

    def send(self, events: Sequence[Event]) -> None:
        LOG.debug("%d event(s) for Nova not sent: [nova] has no credentials", len(events))


class FakeNova:
    """Keeps what it was sent; ``failures`` calls are refused first."""

    def __init__(self) -> None:
        self.reset()

    def reset(self, failures: int = 0) -> None:
        self.sent: list[Event] = []
        self.calls = 0
        self.failures = failures

    def send(self, events: Sequence[Event]) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise errors.Unavailable("Nova is down, on purpose.")
        self.sent.extend(events)


def from_conf(conf: cfg.ConfigOpts) -> Events:
    """The real Nova where ``[nova]`` has credentials and events are wanted, else nobody."""
    if conf.nova.send_events and credentials.are_given(conf, "nova"):
        return Nova(conf)
    return NoNova()
