# SPDX-License-Identifier: Apache-2.0
"""Notifications: what other services may want to know, over the notification bus of oslo.messaging.

    notifier = Notifier(conf, "conductor")
    if notifier.is_on:
        notifier.send(Notice(event_type="device.health.changed", priority=Priority.WARN, payload={...}))

They are off until an operator sets ``[oslo_messaging_notifications] driver``.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import oslo_messaging
from oslo_config import cfg

from cyborg.domain import errors
from cyborg.rpc import messaging

GROUP = "oslo_messaging_notifications"


class Priority(StrEnum):
    INFO = "info"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """``payload`` is of JSON types."""

    event_type: str
    priority: Priority
    payload: Mapping[str, Any]


class Notifier:
    """``service`` is the first word of the publisher's id, ``<service>.<host>``. Any thread may send."""

    def __init__(self, conf: cfg.ConfigOpts, service: str, host: str | None = None) -> None:
        self.is_on = bool(set(conf[GROUP].driver) - {"noop"})
        self._notifier: Any = None
        if self.is_on:
            transport = oslo_messaging.get_notification_transport(conf)
            self._failed = _tell_of_failures(transport)
            self._bus = messaging.Brokers(oslo_messaging.TransportURL.parse(conf, conf[GROUP].transport_url))
            self._notifier = oslo_messaging.Notifier(transport, publisher_id=f"{service}.{host or conf.host}", retry=0)

    def send(self, notice: Notice) -> None:
        """Returns when the broker has it, or at once while notifications are off; raises Unavailable."""
        if self._notifier is None:
            return
        if not self._bus.answer():
            raise errors.Unavailable("No message broker answers for notifications. Try again shortly.")
        self._failed.exception = None
        getattr(self._notifier, notice.priority)({}, notice.event_type, dict(notice.payload))
        if self._failed.exception is not None:
            raise errors.Unavailable("The message broker does not take notifications now. Try again shortly.") from (
                self._failed.exception
            )


class _Failed(threading.local):
    """The failure of this thread's last message."""

    exception: Exception | None = None


def _tell_of_failures(transport: Any) -> _Failed:
    """oslo.messaging logs a notification that it cannot send, and tells its caller nothing."""
    failed, send = _Failed(), transport._send_notification

    def telling(*arguments: Any, **more: Any) -> None:
        try:
            send(*arguments, **more)
        except Exception as exc:
            failed.exception = exc
            raise

    transport._send_notification = telling
    return failed
