# SPDX-License-Identifier: Apache-2.0
"""Values cross processes unchanged, and their shape does not change by accident."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyborg.domain import arq, errors, report, view, wire
from cyborg.tests.unit.domain.test_reconcile import CARDS, card
from cyborg.tests.unit.domain.test_view import mixed


def shape(value: Any) -> Any:
    """The members of a wire form, without its values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else None


@given(devices=CARDS)
def test_a_report_survives_the_wire(devices: list[report.Device]) -> None:
    sent = report.DeviceReport(host="host-1", driver="fake_driver", devices=tuple(devices))
    received = wire.from_wire(report.DeviceReport, json.loads(json.dumps(wire.to_wire(sent))))
    assert received == sent
    assert received.digest == sent.digest


@given(devices=CARDS, seed=st.randoms())
def test_the_digest_ignores_the_order_of_devices_and_nothing_else(devices: list[report.Device], seed: Any) -> None:
    shuffled = list(devices)
    seed.shuffle(shuffled)
    one = report.DeviceReport(host="h", driver="d", devices=tuple(devices))
    assert report.DeviceReport(host="h", driver="d", devices=tuple(shuffled)).digest == one.digest
    more = report.DeviceReport(host="h", driver="d", devices=(*devices, card("0000:ff:00.0")))
    assert more.digest != one.digest


def test_a_view_survives_the_wire() -> None:
    sent = view.view(mixed())
    assert wire.from_wire(view.HostView, json.loads(json.dumps(wire.to_wire(sent)))) == sent


def test_the_shape_of_a_report_belongs_to_its_version() -> None:
    sent = report.DeviceReport(host="h", driver="d", devices=(card("0000:01:00.0"),))
    fingerprint = wire.digest(json.dumps(shape(wire.to_wire(sent)), sort_keys=True))
    assert (report.WIRE_VERSION, fingerprint[:16]) == (2, "71207460a23975b3"), "a new shape needs a new WIRE_VERSION"


def test_unknown_members_are_ignored_and_missing_ones_take_their_default() -> None:
    data = {"host": "h", "driver": "d", "of_a_newer_release": [1]}
    assert wire.from_wire(report.DeviceReport, data) == report.DeviceReport(host="h", driver="d")


@pytest.mark.parametrize(
    "data", [None, [], "text", {"host": 1, "driver": "d"}, {"host": "h"}, {"host": "h", "driver": "d", "devices": {}}]
)
def test_what_is_not_a_report_is_refused(data: Any) -> None:
    with pytest.raises(errors.InvalidRequest, match="not a DeviceReport"):
        wire.from_wire(report.DeviceReport, data)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = errors.by_code()
    assert codes["no_accelerator"] is errors.NoAccelerator
    assert all(cls.code == code for code, cls in codes.items())
    todo, classes = [errors.CyborgError], set()
    while todo:
        cls = todo.pop()
        classes.add(cls)
        todo.extend(cls.__subclasses__())
    assert len(codes) == len(classes)


def test_a_binding_keeps_its_text() -> None:
    sent = arq.Binding(arq_uuid="a", hostname="hôst", device_rp_uuid="r", instance_uuid="i")
    assert wire.from_wire(arq.Binding, wire.to_wire(sent)) == sent
