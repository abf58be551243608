# SPDX-License-Identifier: Apache-2.0
"""The grammar of device_spec and alias."""

import json
from pathlib import Path
from typing import Any

import pytest

from cyborg.domain import errors
from cyborg.drivers import pci_spec
from cyborg.tests.unit.drivers import builders

FUNCTION = {"vendor": 0x8086, "device": 0x1572, "class": 0x020000, "sriov_totalvfs": 4, "net": {"ens3f0": {}}}
VF = {"vendor": 0x8086, "device": 0x154C, "class": 0x020000, "physfn": "0000:0a:01.2"}


@pytest.mark.parametrize(
    ("spec", "pf", "vf"),
    [
        ({}, True, True),
        ({"vendor_id": "8086"}, True, True),
        ({"vendor_id": "0x8086", "product_id": "154C"}, False, True),
        ({"product_id": "*"}, True, True),
        ({"vendor_id": "10de"}, False, False),
        ({"address": "0000:0a:01.2"}, True, True),
        ({"address": "0000:0a:01.3"}, False, True),
        ({"address": "*:0A:*.*"}, True, True),
        ({"address": ":0a:"}, True, True),
        ({"address": "0a:01"}, True, True),
        ({"address": "a:1.2"}, True, True),
        ({"address": "0a:02"}, False, False),
        ({"address": "01.2"}, True, True),
        ({"address": "0001:*:01.2"}, False, False),
        ({"address": {"bus": "0[a-c]", "function": "[12]"}}, True, True),
        ({"address": {"domain": ".*", "bus": "0a", "slot": "01", "function": "[3-7]"}}, False, True),
        ({"devname": "ens3f0"}, True, False),
        ({"devname": "ens9"}, False, False),
        ({"trusted": "true", "vendor_id": "8086", "live_migratable": "yes"}, True, True),
    ],
)
def test_a_spec_matches_with_all_its_keys(tmp_path: Path, spec: dict[str, Any], pf: bool, vf: bool) -> None:
    first, second = builders.host(tmp_path, {"0000:0a:01.2": FUNCTION, "0000:0a:01.3": VF}).pci()
    (parsed,) = pci_spec.parse_specs([json.dumps(spec)])
    assert (parsed.matches(first), parsed.matches(second)) == (pf, vf)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("fast-one, CUSTOM_B, HW_GPU_API_VULKAN", {"CUSTOM_FAST_ONE", "CUSTOM_B", "HW_GPU_API_VULKAN"}),
        (["lamp x", "custom_a.b", "HW_"], {"CUSTOM_LAMP_X", "CUSTOM_A_B", "CUSTOM_HW"}),
        ("", set()),
    ],
)
def test_names_of_traits_are_made_as_nova_makes_them(given: Any, made: set[str]) -> None:
    (spec,) = pci_spec.parse_specs([json.dumps({"traits": given})])
    assert spec.traits == made


def test_no_resource_class_is_the_default_one() -> None:
    (spec,) = pci_spec.parse_specs(['{"resource_class": null}'])
    assert spec.resource_class == "CUSTOM_PCI"


def test_a_wide_domain_matches_as_it_is(tmp_path: Path) -> None:
    (function,) = builders.host(tmp_path, {"10000:e1:00.0": FUNCTION}).pci()
    narrow, wide = pci_spec.parse_specs(['{"address": "0000:e1:00.0"}', '{"address": "10000:*:00.0"}'])
    assert (narrow.matches(function), wide.matches(function)) == (False, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "is not JSON"),
        ('"text"', "expected an object"),
        ("[1]", "expected an object"),
        ('{"vendor": "8086"}', "unknown key 'vendor', known are address, devname"),
        ('{"vendor_id": "80866"}', "vendor_id is '80866', not four hex digits"),
        ('{"product_id": 5490}', "product_id is 5490"),
        ('{"address": "0000:0a:01:00.2"}', "too many fields"),
        ('{"address": "0000:0g:01.2"}', "'0g' in the address is neither hex nor"),
        ('{"address": {"buss": "0a"}}', "address has no field 'buss'"),
        ('{"address": {"bus": "["}}', "wrong regular expression"),
        ('{"address": 7}', "neither text nor an object"),
        ('{"address": "0a:", "devname": "eth0"}', "exclude each other"),
        ('{"resource_class": "--"}', "resource_class is '--'"),
        ('{"traits": [1]}', "not a list of names"),
        ('{"traits": "a, --"}', "'--' cannot be made the name of a trait"),
        (json.dumps({"traits": ["a" * 249]}), "cannot be made the name of a trait"),
        ('{"managed": "maybe"}', "managed is 'maybe'"),
        ('{"managed": []}', r"managed is \[\]"),
    ],
)
def test_a_spec_that_is_not_understood_is_named(text: str, message: str) -> None:
    with pytest.raises(errors.DriverError, match=message):
        pci_spec.parse_specs([text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "name is missing"),
        ('{"name": "a", "device_type": "PF"}', "device_type is 'PF'"),
        ('{"name": "a", "vendor_id": "x"}', r"alias = .*vendor_id is 'x'"),
    ],
)
def test_an_alias_that_is_not_understood_is_named(text: str, message: str) -> None:
    with pytest.raises(errors.DriverError, match=message):
        pci_spec.parse_aliases([text])


@pytest.mark.parametrize(
    ("alias", "matches"),
    [
        ({}, (True, True)),
        ({"device_type": "type-PF"}, (True, False)),
        ({"device_type": "type-VF", "numa_policy": "required"}, (False, True)),
        ({"product_id": "154c", "capability_type": "pci", "traits": "A", "live_migratable": "yes"}, (False, True)),
        ({"resource_class": "lamp"}, (True, True)),
        ({"resource_class": "desk"}, (False, False)),
    ],
)
def test_an_alias_names_a_kind_of_function(tmp_path: Path, alias: dict[str, Any], matches: tuple[bool, bool]) -> None:
    functions = builders.host(tmp_path, {"0000:0a:01.2": FUNCTION, "0000:0a:01.3": VF}).pci()
    (spec,) = pci_spec.parse_specs(['{"resource_class": "lamp"}'])
    (parsed,) = pci_spec.parse_aliases([json.dumps({"name": "nic"} | alias)])
    assert tuple(parsed.matches(function, spec) for function in functions) == matches
