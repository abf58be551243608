# SPDX-License-Identifier: Apache-2.0
"""HTTP to Placement: one fixed microversion, time-outs, and every failure a domain error.

    PlacementError
    └── Refused                 Placement answered, and not with success
        └── GenerationConflict  the provider changed since it was read: read again and retry
    Unavailable                 no answer, or 5xx

A keystoneauth adapter with the ``[placement]`` options is used directly: the Placement proxy of openstacksdk is
the same adapter behind a version discovery, which would cost a request and need Placement up when the agent starts.
"""

import datetime
from collections.abc import Mapping
from email import utils as dates
from http import HTTPStatus
from typing import Any, Self

from keystoneauth1 import adapter, loading
from keystoneauth1 import exceptions as auth_errors
from oslo_config import cfg
from oslo_log import log

from cyborg import crash
from cyborg.conf import credentials
from cyborg.conf import placement as options
from cyborg.domain import errors

LOG = log.getLogger(__name__)

# One version, so that what we send always means the same: the newest there is, which every supported release has.
# Needed of it are error codes (1.23) and reserved = total (1.26).
MICROVERSION = "1.39"
CONCURRENT_UPDATE = "placement.concurrent_update"


class Refused(errors.PlacementError):
    """``status`` and ``reason`` are Placement's: an HTTP status and a code such as ``placement.inventory.inuse``."""

    code = "placement_refused"

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class GenerationConflict(Refused):
    code = "placement_conflict"


class PlacementClient:
    """Sends one request per call; ``requests`` counts them."""

    def __init__(self, session: adapter.Adapter, *, connect_timeout: float = 5, read_timeout: float = 30) -> None:
        self._session = session
        self._timeout = (connect_timeout, read_timeout)
        self.requests = 0

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, *, timeout: float | None = None) -> Self:
        """A client as ``[placement]`` says; sends nothing yet. Raises PlacementError without credentials.

        ``timeout`` is in seconds, for connecting and for reading each; None: as the options say.
        """
        group = conf[options.GROUP]
        auth = credentials.load(conf, options.GROUP)
        if auth is None:
            raise errors.PlacementError(
                f"[{options.GROUP}] has no auth_type, so Placement cannot be reached. Set it, and the credentials that "
                "go with it (for Keystone: password)."
            )
        session = loading.load_session_from_conf_options(conf, options.GROUP, auth=auth)
        return cls(
            loading.load_adapter_from_conf_options(
                conf, options.GROUP, session=session, default_microversion=MICROVERSION
            ),
            connect_timeout=timeout or group.connect_timeout,
            read_timeout=timeout or group.timeout or options.READ_TIMEOUT,
        )

    def get(self, path: str) -> dict[str, Any]:
        return self._send("GET", path)

    def put(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._send("PUT", path, body)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("POST", path, body)

    def delete(self, path: str) -> None:
        self._send("DELETE", path)

    def unchanged_for(self, path: str) -> float:
        """Seconds since what is there was last changed, by the clock of Placement where it says what that shows."""
        headers = self._exchange("GET", path).headers
        now = _moment(headers.get("Date")) or datetime.datetime.now(datetime.UTC)
        changed = _moment(headers.get("Last-Modified"))
        return 0.0 if changed is None else max(0.0, (now - changed).total_seconds())

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer, {} when it has no body; raises as `_exchange`."""
        response = self._exchange(method, path, body)
        return _json(method, path, response) if response.content else {}

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A good response; raises Refused, GenerationConflict, PlacementError or Unavailable."""
        self.requests += 1
        content = {} if body is None else {"json": body}
        crash.point("placement.before_request")
        try:
            response = self._session.request(path, method, raise_exc=False, timeout=self._timeout, **content)
        except (auth_errors.ConnectionError, auth_errors.HttpServerError) as exc:
            reason = errors.system_words(exc) or "no answer"
            raise errors.Unavailable(f"Placement cannot be reached for {method} {path}: {reason}.") from exc
        except auth_errors.ClientException as exc:
            raise errors.PlacementError(
                f"{method} {path} could not be sent to Placement: {exc}. Check the options in [{options.GROUP}]."
            ) from exc
        crash.point("placement.after_request")
        LOG.debug("%s %s: %s", method, path, response.status_code)
        if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            raise _error(method, path, response)
        return response


def _json(method: str, path: str, response: Any) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError as exc:
        raise _not_placement(method, path, response) from exc
    if not isinstance(answer, dict):
        raise _not_placement(method, path, response)
    return answer


def _moment(text: str | None) -> datetime.datetime | None:
    """Of an HTTP header; None when it is not there, or is none."""
    try:
        return None if text is None else dates.parsedate_to_datetime(text)
    except ValueError:
        return None


def _not_placement(method: str, path: str, response: Any) -> errors.PlacementError:
    return errors.PlacementError(
        f"{method} {path} was not answered with a JSON object ({response.status_code}, "
        f"{response.headers.get('Content-Type')}). Is {response.url} Placement?"
    )


def _error(method: str, path: str, response: Any) -> errors.CyborgError:
    status = response.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.Unavailable(f"Placement answered {method} {path} with {status}.")
    first = _first_error(response)
    if status == HTTPStatus.NOT_ACCEPTABLE and "max_version" in first:
        return Refused(
            f"Placement offers microversions up to {first['max_version']} and {MICROVERSION} is needed: "
            "upgrade Placement.",
            status=status,
        )
    reason = str(first.get("code", ""))
    detail = " ".join(str(first.get("detail", response.reason)).split())
    cls = GenerationConflict if status == HTTPStatus.CONFLICT and reason == CONCURRENT_UPDATE else Refused
    return cls(f"Placement refused {method} {path} with {status} {reason}: {detail}", status=status, reason=reason)


def _first_error(response: Any) -> dict[str, Any]:
    """What Placement says of its refusal; {} when the answer is not in Placement's form."""
    try:
        return dict(response.json()["errors"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return {}
