# SPDX-License-Identifier: Apache-2.0
"""A card's life through API, conductor and agent: made for a guest, cleaned after it, and kept when that cannot be."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cyborg.tests.functional import standalone
from cyborg.tests.functional.standalone import Running
from cyborg.tests.waiting import until

HOST = "fpga-1"
PROFILE, TRAIT = "a-fake", "CUSTOM_FAKE_DEVICE"
LATEST = {"OpenStack-API-Version": "accelerator latest"}
#: One unit works, one cannot be cleaned, one cannot be made.
CONFIG = """
[agent]
clean = true
[conductor]
cleaning_attempts = 1
[fake_devices]
accelerators = 3
host_work = prepare
host_work_fails = clean:vf1, prepare:vf2
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    recording = tmp_path / "host.yaml"
    recording.write_text("{}", encoding="utf-8")
    with standalone.in_process(tmp_path, {HOST: recording}, drivers=["fake_driver"], config=CONFIG) as running:
        running.client.create_profile(PROFILE, TRAIT)
        yield running


def units(service: Running) -> dict[str, dict[str, Any]]:
    listed = service.client.call("GET", "/v2/accelerators", headers=LATEST).expect(200).json["accelerators"]
    return {one["key"]: one for one in listed}


def states(service: Running) -> dict[str, str]:
    return {key: one["state"] for key, one in units(service).items()}


def build(service: Running) -> tuple[str, str, int]:
    """A request, its server, and how its bind was answered."""
    (request,), server = service.client.create(PROFILE), str(uuid.uuid4())
    answer = service.client.bind(request, host=HOST, provider=service.provider(HOST), instance=server)
    if answer.status != 202:
        assert "told to fail" in answer.words
    return request, server, answer.status


def test_a_card_is_made_for_a_guest_and_cleaned_after_it_and_what_cannot_be_is_kept_back(service: Running) -> None:
    first, first_server, status = build(service)
    bound = service.client.show(first)
    assert (status, bound["state"], bound["attach_handle_type"]) == (202, "Bound", "TEST_PCI")
    assert bound["attach_handle_info"] == {"domain": "0000", "bus": "0c", "device": "00", "function": "1"}
    _, second_server, _ = build(service)
    refused, _, status = build(service)
    assert (status, service.client.show(refused)["state"]) == (409, "Initial")
    service.settle()
    assert states(service) == {"vf0": "held", "vf1": "held", "vf2": "failed"}, "nobody gets it one after the other"
    (device,) = service.client.list("devices")
    service.client.call("POST", f"/v2/devices/{device['uuid']}/enable", headers=LATEST).expect(204)
    assert states(service) == {"vf0": "held", "vf1": "held", "vf2": "free"}

    service.client.delete_for_instance(first_server)
    service.client.delete_for_instance(second_server)
    until("one is free, one is not", lambda: states(service) == {"vf0": "free", "vf1": "failed", "vf2": "free"})
    service.settle()
    assert "clean vf1" in units(service)["vf1"]["fault"]
    until("Placement offers two", lambda: standalone.shown(service.client, HOST).amount == (3, 1))
    listed = service.client.call("GET", "/v2/operations", headers=LATEST).expect(200).json["operations"]
    assert [(one["kind"], one["state"], one["subject"]) for one in listed] == [
        ("take_back", "failed", units(service)["vf1"]["uuid"])
    ]
