# SPDX-License-Identifier: Apache-2.0
"""Who is asking: the caller of a request, and the service that passed it on."""

from collections.abc import Mapping
from typing import Any, Self

from oslo_context import context

ADMIN_ROLE = "admin"


class RequestContext(context.RequestContext):
    """oslo.context's, with what our rules ask for.

    ``from_service`` is true when a valid service token came along: the caller is then another service (Nova)
    acting for the user.
    """

    def __init__(self, *, from_service: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.from_service = from_service
        self.is_admin = self.is_admin or ADMIN_ROLE in self.roles

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = super().to_dict()
        return values | {"from_service": self.from_service}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **kwargs: Any) -> Self:
        made: Self = super().from_dict(dict(values), from_service=bool(values.get("from_service")), **kwargs)
        return made


def service_context() -> RequestContext:
    """The context of work that no user asked for: a report, a periodic task."""
    return RequestContext(is_admin=True, overwrite=False)
