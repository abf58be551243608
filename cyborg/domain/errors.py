# SPDX-License-Identifier: Apache-2.0
"""Every error that is raised on purpose.

    CyborgError
    ├── InvalidRequest          the caller sent something that cannot be right
    │   └── AlreadyBound        the instance holds accelerator requests already
    ├── NotFound                nothing of that name that the caller may see
    ├── Forbidden               the caller may not do this
    ├── NotAcceptable           not at this microversion, or not in this format
    ├── Conflict                right in itself, impossible in the present state
    │   ├── AlreadyExists       the name or uuid is taken
    │   ├── InUse               somebody still holds it
    │   ├── WrongState          the accelerator request is in another state
    │   └── NoAccelerator       nothing free on the host matches the request
    ├── NotResolved             some accelerator request is still being bound
    ├── Unavailable             a service we need does not answer; try again
    ├── HostUnreadable          a host's sysfs could not be read at all
    ├── DriverError             a driver could not be loaded or could not scan
    └── PlacementError          Placement refused what we asked

``code`` is stable and public: clients, RPC peers and tests may rely on it. The message says what was
wrong, with the value, and what to do next; it is shown to users as it is.
"""


class CyborgError(Exception):
    """Base of all; ``message`` is for people, ``code`` for programs."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(CyborgError):
    code = "invalid_request"


class AlreadyBound(InvalidRequest):
    code = "already_bound"


class NotFound(CyborgError):
    code = "not_found"


class Forbidden(CyborgError):
    code = "forbidden"


class NotAcceptable(CyborgError):
    code = "not_acceptable"


class Conflict(CyborgError):
    code = "conflict"


class AlreadyExists(Conflict):
    code = "already_exists"


class InUse(Conflict):
    code = "in_use"


class WrongState(Conflict):
    code = "wrong_state"


class NoAccelerator(Conflict):
    code = "no_accelerator"


class NotResolved(CyborgError):
    code = "not_resolved"


class Unavailable(CyborgError):
    code = "unavailable"


class HostUnreadable(CyborgError):
    code = "host_unreadable"


class DriverError(CyborgError):
    code = "driver_error"


class PlacementError(CyborgError):
    code = "placement_error"


def by_code() -> dict[str, type[CyborgError]]:
    """Every class of the tree by its public code; used where errors cross a process."""
    found: dict[str, type[CyborgError]] = {}
    todo: list[type[CyborgError]] = [CyborgError]
    while todo:
        cls = todo.pop()
        found[cls.code] = cls
        todo.extend(cls.__subclasses__())
    return found


def system_words(exc: BaseException) -> str | None:
    """What the operating system said in the end, such as "Connection refused"; None when it said nothing.

    Libraries wrap it in names of classes and addresses of objects, which are nobody's business.
    """
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        inner = getattr(cause, "reason", None)
        nested = [arg for arg in (inner, *cause.args) if isinstance(arg, BaseException)]
        cause = cause.__cause__ or cause.__context__ or (nested[0] if nested else None)
    return None
