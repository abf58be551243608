# SPDX-License-Identifier: Apache-2.0
"""device_spec and alias: how an operator says which PCI functions to offer, in Nova's grammar.

    {"vendor_id": "1bcf", "product_id": "001c", "address": "0000:*:00.0"}
    {"address": {"domain": ".*", "bus": "3b", "slot": "0[0-7]", "function": "[1-7]"}, "resource_class": "lamp"}
    {"devname": "ens3f0", "physical_network": "physnet1"}

A function is offered when one object matches with all its keys; the first that matches counts. An address that
names a PF covers its VFs as well. An empty list offers nothing. Anything that cannot be understood is an error
when the driver is loaded, because a rule that never matches would look like missing hardware.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cyborg.domain import errors
from cyborg.domain.view import trait_token
from cyborg.drivers.pci_function import PciFunction

DEFAULT_CLASS = "CUSTOM_PCI"
FIELDS = ("domain", "bus", "slot", "function")
#: Known to Nova and to operators' files; what they mean is decided by whoever attaches the function.
TAGS = frozenset({"trusted", "remote_managed", "live_migratable"})
KEYS = TAGS | {
    "vendor_id",
    "product_id",
    "address",
    "devname",
    "physical_network",
    "managed",
    "resource_class",
    "traits",
}
ALIAS_TAGS = frozenset({"numa_policy", "capability_type", "traits", "live_migratable"})
ALIAS_KEYS = ALIAS_TAGS | {"name", "vendor_id", "product_id", "resource_class", "device_type"}
ID = re.compile(r"[0-9a-f]{4}|\*")
OURS = "CUSTOM_"
LONGEST_TRAIT = 255
TRAIT = re.compile(r"(?=.{1,255}\Z)(CUSTOM|HW)_[A-Z0-9_]+")
MANAGED = {"true": "true", "false": "false", "yes": "true", "no": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """``address`` is one regular expression per field, to match from its start; ``extra`` is told to the hypervisor."""

    vendor: str = "*"
    product: str = "*"
    address: tuple[re.Pattern[str], ...] = ()
    devname: str | None = None
    resource_class: str = DEFAULT_CLASS
    traits: frozenset[str] = frozenset()
    extra: Mapping[str, str] = field(default_factory=dict)

    def matches(self, function: PciFunction) -> bool:
        if self.vendor not in ("*", function.vendor) or self.product not in ("*", function.device):
            return False
        if self.address and not any(self._at(address) for address in _addresses(function)):
            return False
        return self.devname is None or self.devname in ((function.node / "net").names() or ())

    def _at(self, address: str) -> bool:
        parts = re.split("[:.]", address)
        return all(pattern.match(part) for pattern, part in zip(self.address, parts, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    name: str
    vendor: str = "*"
    product: str = "*"
    resource_class: str | None = None
    device_type: str | None = None

    def matches(self, function: PciFunction, spec: Spec) -> bool:
        return (
            self.vendor in ("*", function.vendor)
            and self.product in ("*", function.device)
            and self.resource_class in (None, spec.resource_class)
            and self.device_type in (None, device_type(function))
        )


def device_type(function: PciFunction) -> str:
    if function.is_vf:
        return "type-VF"
    return "type-PF" if function.sriov else "type-PCI"


def parse_specs(values: Sequence[str]) -> tuple[Spec, ...]:
    """Raises DriverError for what is not understood, naming the value."""
    return tuple(_spec(item, text) for text in values for item in _objects(text, "device_spec", KEYS))


def parse_aliases(values: Sequence[str]) -> tuple[Alias, ...]:
    return tuple(_alias(item, text) for text in values for item in _objects(text, "alias", ALIAS_KEYS))


def _addresses(function: PciFunction) -> Iterator[str]:
    yield function.address
    if function.physfn is not None:
        yield function.physfn.address


def _objects(text: str, option: str, keys: frozenset[str]) -> list[dict[str, Any]]:
    """The object, or the list of objects, that ``text`` holds."""
    try:
        data = json.loads(text)
    except ValueError as exc:
        raise errors.DriverError(f"[pci] {option} is not JSON: {text!r}: {exc}.") from exc
    items = data if isinstance(data, list) else [data]
    for item in items:
        if not isinstance(item, dict):
            raise _wrong(text, 'expected an object such as {"vendor_id": "10de"}', option)
        unknown = sorted(set(item) - keys)
        if unknown:
            raise _wrong(text, f"unknown key {unknown[0]!r}, known are {', '.join(sorted(keys))}", option)
    return items


def _spec(item: dict[str, Any], text: str) -> Spec:
    if "address" in item and "devname" in item:
        raise _wrong(text, "address and devname exclude each other")
    extra = {}
    if "physical_network" in item:
        extra["physical_network"] = str(item["physical_network"])
    if "managed" in item:
        managed = str(item["managed"]).lower()
        if managed not in MANAGED:
            raise _wrong(text, f"managed is {item['managed']!r}, not true or false")
        extra["managed"] = MANAGED[managed]
    return Spec(
        vendor=_id(item, "vendor_id", text),
        product=_id(item, "product_id", text),
        address=_address(item["address"], text) if "address" in item else (),
        devname=item.get("devname"),
        resource_class=_class(item, text) or DEFAULT_CLASS,
        traits=_traits(item.get("traits", ()), text),
        extra=extra,
    )


def _alias(item: dict[str, Any], text: str) -> Alias:
    name, kind = item.get("name"), item.get("device_type")
    if not isinstance(name, str) or not name:
        raise _wrong(text, "name is missing", "alias")
    if kind not in (None, "type-PCI", "type-PF", "type-VF"):
        raise _wrong(text, f"device_type is {kind!r}, not type-PCI, type-PF or type-VF", "alias")
    return Alias(
        name=name,
        vendor=_id(item, "vendor_id", text, "alias"),
        product=_id(item, "product_id", text, "alias"),
        resource_class=_class(item, text, "alias"),
        device_type=kind,
    )


def _id(item: dict[str, Any], key: str, text: str, option: str = "device_spec") -> str:
    value = item.get(key, "*")
    digits = value.lower().removeprefix("0x") if isinstance(value, str) else ""
    if not ID.fullmatch(digits):
        raise _wrong(text, f"{key} is {value!r}, not four hex digits or *", option)
    return digits


def _class(item: dict[str, Any], text: str, option: str = "device_spec") -> str | None:
    if item.get("resource_class") is None:
        return None
    token = trait_token(str(item["resource_class"]))
    if not token:
        raise _wrong(text, f"resource_class is {item['resource_class']!r}", option)
    return token if token.startswith("CUSTOM_") else f"CUSTOM_{token}"


def _traits(value: Any, text: str) -> frozenset[str]:
    """A list, or Nova's text with commas; as there, what is no name of a trait yet is made one that begins CUSTOM_."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise _wrong(text, f"traits is {value!r}, not a list of names")
    return frozenset(_trait(name.strip().upper(), text) for name in names if name.strip())


def _trait(name: str, text: str) -> str:
    if TRAIT.fullmatch(name):
        return name
    token = trait_token(name.removeprefix(OURS))
    if not token or len(OURS + token) > LONGEST_TRAIT:
        raise _wrong(text, f"{name!r} cannot be made the name of a trait")
    return OURS + token


def _address(value: Any, text: str) -> tuple[re.Pattern[str], ...]:
    if isinstance(value, dict):
        unknown = sorted(set(value) - set(FIELDS))
        if unknown:
            raise _wrong(text, f"address has no field {unknown[0]!r}, only {', '.join(FIELDS)}")
        parts = [str(value.get(name, ".*")) for name in FIELDS]
        try:
            return tuple(re.compile(part, re.IGNORECASE) for part in parts)
        except re.error as exc:
            raise _wrong(text, f"address has a wrong regular expression: {exc}") from exc
    if not isinstance(value, str):
        raise _wrong(text, f"address is {value!r}, neither text nor an object")
    return tuple(re.compile(_glob(part, text), re.IGNORECASE) for part in _fields(value, text))


def _fields(value: str, text: str) -> list[str]:
    """domain, bus, slot and function of an address in which any of them may be left out: ``:0a:``, ``*:0a.*``."""
    front, _, function = value.partition(".")
    parts = front.split(":")
    if len(parts) > len(FIELDS) - 1:
        raise _wrong(text, f"address {value!r} has too many fields")
    widths = (4, 2, 2, 1)
    fields = [*["*"] * (3 - len(parts)), *parts, function]
    return [_padded(part.strip(), width) for part, width in zip(fields, widths, strict=True)]


def _padded(part: str, width: int) -> str:
    return part.rjust(width, "0") if part and "*" not in part else part or "*"


def _glob(part: str, text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F*]+", part):
        raise _wrong(text, f"{part!r} in the address is neither hex nor *")
    return re.escape(part).replace(r"\*", ".*") + r"\Z"


def _wrong(text: str, what: str, option: str = "device_spec") -> errors.DriverError:
    return errors.DriverError(f"[pci] {option} = {text}: {what}.")
