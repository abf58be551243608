# SPDX-License-Identifier: Apache-2.0
"""What a user asks for: a profile is a list of groups, and each group one Placement request group.

    {"resources:CUSTOM_ACCELERATOR": "1", "trait:CUSTOM_GPU_NVIDIA": "required", "accel:function_id": "..."}

The index of a group in its profile is the request's ``device_profile_group_id``. Values are stored and shown
as text, in the order in which they were given.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import os_resource_classes
import os_traits

from cyborg.domain import errors, inventory, report, view

NAME_PATTERN = r"^[A-Za-z0-9_-]{1,255}\Z"
MAX_AMOUNT = 64
MAX_ACCELERATORS = 64
_CLASS = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}\Z")
_TRAIT = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\Z")
MEMORY_PREFIX = view.MEMORY_PREFIX
_TARGET = re.compile(r"VM|host|none")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
#: The ``accel:`` properties and what their values look like.
PROPERTIES = {
    "attach_target": _TARGET,
    "bitstream_id": _UUID,
    "bitstream_name": _TEXT,
    "function_id": _UUID,
    "function_name": _TEXT,
}
#: Those that say what must be programmed before an accelerator is attached.
PROGRAMMING = frozenset({"bitstream_id", "bitstream_name", "function_name"})
#: The classes of Placement's standard set that mean an accelerator.
STANDARD_CLASSES = frozenset({"FPGA", "PGPU", "VGPU"})
#: Accepted because existing profiles name it; no provider ever had it.
LEGACY_CLASSES = frozenset({"GPU"})


class Visibility(StrEnum):
    """A private profile is there for administrators and for the projects that it is shared with."""

    PUBLIC = "public"
    PRIVATE = "private"


class TraitRule(StrEnum):
    REQUIRED = "required"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One request group: amounts by class, traits by rule, and the ``accel:`` properties as given."""

    resources: Mapping[str, int]
    traits: Mapping[str, TraitRule] = field(default_factory=dict)
    accel: Mapping[str, str] = field(default_factory=dict)

    @property
    def accelerator_count(self) -> int:
        """How many accelerators, and so how many requests, the group means; memory is not one."""
        return sum(amount for name, amount in self.resources.items() if view.is_of_units(name))

    @property
    def counting(self) -> frozenset[str]:
        """The classes that count the same accelerators once more, by kind."""
        return view.COUNTING_CLASSES & self.resources.keys()

    @property
    def memory(self) -> Mapping[str, int]:
        """MiB that each accelerator of the group must have, by class of memory; the amount is that of all together."""
        return {
            name: math.ceil(amount / self.accelerator_count)
            for name, amount in self.resources.items()
            if name.startswith(MEMORY_PREFIX)
        }

    @property
    def required(self) -> frozenset[str]:
        return frozenset(name for name, rule in self.traits.items() if rule is TraitRule.REQUIRED)

    @property
    def forbidden(self) -> frozenset[str]:
        return frozenset(name for name, rule in self.traits.items() if rule is TraitRule.FORBIDDEN)

    def matches(self, deployable: inventory.Deployable) -> bool:
        """Whether an accelerator of ``deployable`` is what this group asks for, see `is_content_with` for the rest."""
        classes = {name for name in self.resources if view.is_of_units(name)}
        return (
            classes <= {view.GENERIC_CLASS, deployable.resource_class}
            and self.required <= deployable.traits
            and not self.forbidden & deployable.traits
            and self._has_function(deployable.traits)
        )

    def _has_function(self, traits: frozenset[str]) -> bool:
        """An FPGA's region shows what is programmed into it as a trait that ends with the function's id."""
        wanted = self.accel.get("function_id")
        ending = f"_FUNCTION_{wanted.replace('-', '').upper()}" if wanted else ""
        return any(trait.endswith(ending) for trait in traits) if wanted else True

    def is_content_with(self, kind: report.DeviceType, memory_mib: int | None) -> bool:
        """Whether an accelerator of such a device, with so much memory of its own, is of the kind asked for."""
        if not self.counting <= {view.counting_class(kind)}:
            return False
        own = {view.memory_class(kind): memory_mib or 0}
        return all(amount <= own.get(name, 0) for name, amount in self.memory.items())


def parse_groups(groups: Iterable[Mapping[str, object]]) -> tuple[tuple[Group, ...], list[dict[str, str]]]:
    """(groups, the same as the text to store and show); raises InvalidRequest that names the group and key."""
    pairs = [_parse_group(index, group) for index, group in enumerate(groups)]
    if not pairs:
        raise errors.InvalidRequest("A device profile needs at least one group.")
    count = sum(group.accelerator_count for group, _ in pairs)
    if count > MAX_ACCELERATORS:
        raise errors.InvalidRequest(
            f"The profile asks for {count} accelerators; at most {MAX_ACCELERATORS} can be asked for at once."
        )
    return tuple(group for group, _ in pairs), [text for _, text in pairs]


def load_groups(stored: Iterable[Mapping[str, str]]) -> tuple[Group, ...]:
    """The groups of a stored profile."""
    return tuple(_parse_group(index, group)[0] for index, group in enumerate(stored))


def _parse_group(index: int, group: Mapping[str, object]) -> tuple[Group, dict[str, str]]:
    resources: dict[str, int] = {}
    traits: dict[str, TraitRule] = {}
    accel: dict[str, str] = {}
    text: dict[str, str] = {}
    for key, value in group.items():
        prefix, _, name = key.partition(":")
        name = name.strip()
        where = f"groups[{index}]: {key!r}"
        if prefix == "resources":
            resources[_class(where, name)] = _amount(where, name, value)
        elif prefix == "trait":
            traits[_trait(where, name)] = _rule(where, value)
        elif prefix == "accel":
            accel[name] = _property(where, name, value)
        else:
            raise errors.InvalidRequest(f"{where} must begin with 'resources:', 'trait:' or 'accel:'.")
        if f"{prefix}:{name}" in text:
            raise errors.InvalidRequest(f"{where} is given twice.")
        text[f"{prefix}:{name}"] = str(value).strip()
    parsed = Group(resources=resources, traits=traits, accel=accel)
    if parsed.accelerator_count == 0:
        raise errors.InvalidRequest(f"groups[{index}] asks for no accelerator; add 'resources:CLASS' with an amount.")
    if any(resources[name] != parsed.accelerator_count for name in parsed.counting):
        raise errors.InvalidRequest(
            f"groups[{index}] asks for {parsed.accelerator_count} accelerator(s); {', '.join(sorted(parsed.counting))} "
            "counts the same ones and must have the same amount."
        )
    return parsed, text


def _class(where: str, name: str) -> str:
    if name in STANDARD_CLASSES | LEGACY_CLASSES or _CLASS.match(name):
        return name
    known = ", ".join(sorted(STANDARD_CLASSES))
    hint = "is not an accelerator" if name in os_resource_classes.STANDARDS else "is not a resource class"
    raise errors.InvalidRequest(f"{where}: {name!r} {hint}; use one of {known} or a CUSTOM_ class.")


def _amount(where: str, name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise errors.InvalidRequest(f"{where}: the amount must be a whole number, not {value!r}.")
    if not re.fullmatch(r"\s*[0-9]{1,9}\s*", str(value), re.ASCII):
        raise errors.InvalidRequest(f"{where}: the amount must be a whole number, not {value!r}.")
    amount = int(value)
    limit = 2**31 - 1 if name.startswith(MEMORY_PREFIX) else MAX_AMOUNT
    if not 1 <= amount <= limit:
        raise errors.InvalidRequest(f"{where}: the amount must be 1 to {limit}, not {amount}.")
    return amount


def _trait(where: str, name: str) -> str:
    if _TRAIT.match(name) or name in os_traits.get_traits():
        return name
    raise errors.InvalidRequest(f"{where}: {name!r} is neither a CUSTOM_ trait nor one of Placement's standard traits.")


def _rule(where: str, value: object) -> TraitRule:
    try:
        return TraitRule(str(value).strip())
    except ValueError:
        raise errors.InvalidRequest(f"{where} must be 'required' or 'forbidden', not {value!r}.") from None


def _property(where: str, name: str, value: object) -> str:
    pattern = PROPERTIES.get(name)
    if pattern is None:
        raise errors.InvalidRequest(f"{where} is not known; known are {', '.join(sorted(PROPERTIES))}.")
    if not isinstance(value, str) or not pattern.fullmatch(value.strip()):
        form = (
            "a uuid" if pattern is _UUID else "one of VM, host, none" if pattern is _TARGET else "1 to 255 characters"
        )
        raise errors.InvalidRequest(f"{where} must be {form}, not {value!r}.")
    return value.strip()
