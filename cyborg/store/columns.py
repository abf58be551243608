# SPDX-License-Identifier: Apache-2.0
"""Column types that mean the same on SQLite, MariaDB, MySQL and PostgreSQL."""

import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

E = TypeVar("E", bound=StrEnum)

#: SQLite numbers rows by itself only in a column that is exactly INTEGER, and that one holds 64 bits.
BigId = BigInteger().with_variant(Integer, "sqlite")
Uuid = String(36)
Name = String(255)
#: A name behind a prefix of ours: ``serial:<name>``, ``trait:<name>``.
PrefixedName = String(270)
#: Three names and two separators; also the most that InnoDB indexes (3072 bytes of utf8mb4).
JoinedName = String(767)


def as_list(value: Any) -> list[Any]:
    """What a JSON column has, where it is only shown; [] for what is no list."""
    return value if isinstance(value, list) else []


def as_object(value: Any) -> dict[str, Any]:
    """The same; {} for what is no object."""
    return value if isinstance(value, dict) else {}


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class UtcDateTime(TypeDecorator[datetime.datetime]):
    """Aware UTC outside, naive UTC in the database, microseconds on every engine."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        return None if value is None else value.astimezone(datetime.UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        return None if value is None else value.replace(tzinfo=datetime.UTC)


class Choice(TypeDecorator[E], Generic[E]):
    """A StrEnum as text: adding a value needs no change of the schema.

    A text that is none of the choices, as a newer release may write it, comes back as that text: it can be shown. Who
    decides by the value makes a choice of it first, which fails.
    """

    impl = String
    cache_ok = True

    def __init__(self, choices: type[E], length: int) -> None:
        super().__init__(length)
        self.choices = choices
        self._known = {str(one): one for one in choices}

    def process_bind_param(self, value: E | str | None, dialect: Dialect) -> str | None:
        """Any text may be looked for; it is then simply not found."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        return None if value is None else self._known.get(value, cast(E, value))
