# SPDX-License-Identifier: Apache-2.0
"""What is in the answers of an SPDK target, none of which can be relied on to have its usual shape."""

from collections.abc import Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]


def objects(answer: Any) -> list[Object]:
    """The objects of a list, or the only one; none of anything else."""
    items = answer if isinstance(answer, list) else [answer]
    return [item for item in items if isinstance(item, dict)]


def names(answer: Any) -> list[str]:
    return [name for name in answer if isinstance(name, str)] if isinstance(answer, list) else []


def text(value: Any) -> str:
    return "" if value is None else str(value)


def number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def nvme(bdev: Object) -> list[Object]:
    """Of a block device on an NVMe disk: one path, or several, depending on the release."""
    return [path for about in objects(bdev.get("driver_specific")) for path in objects(about.get("nvme"))]


def controller_paths(controllers: list[Object]) -> Iterator[Object]:
    return (path for controller in controllers for path in objects(controller.get("ctrlrs")))
