# SPDX-License-Identifier: Apache-2.0
"""Several Placements in one process know nothing of each other, and each keeps its state."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import webob

from cyborg.cmd import embedded_placement
from cyborg.tests.placement_fixture import PlacementFixture


def test_two_in_one_process_do_not_share_anything() -> None:
    with PlacementFixture() as one, PlacementFixture() as two:
        one.create_provider("compute-1", traits=["CUSTOM_ONE"])
        assert two.request("GET", "/resource_providers")["resource_providers"] == []
        assert two.request("GET", "/traits?name=in:CUSTOM_ONE,HW_CPU_X86_VMX")["traits"] == ["HW_CPU_X86_VMX"]
        two.create_provider("compute-1", inventories={"VCPU": {"total": 1}})
        assert len(one.request("GET", "/resource_providers")["resource_providers"]) == 1


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    first = embedded_placement.build(tmp_path)
    request = webob.Request.blank("/resource_providers", method="POST", headers={"X-Auth-Token": "admin"})
    request.content_type = "application/json"
    request.json = {"name": "compute-1"}
    assert request.get_response(first).status_code == 201
    second = embedded_placement.build(tmp_path)
    listing = webob.Request.blank("/resource_providers", headers={"X-Auth-Token": "admin"}).get_response(second)
    assert [provider["name"] for provider in listing.json["resource_providers"]] == ["compute-1"]


def test_nobody_gets_in_without_the_token(tmp_path: Path) -> None:
    application = embedded_placement.build(tmp_path, durable=False)
    for headers, status in (({}, 401), ({"X-Auth-Token": "somebody"}, 403)):
        answer = webob.Request.blank("/resource_providers", headers=headers).get_response(application)
        assert answer.status_code == status


def test_concurrent_claims_admit_exactly_what_is_there() -> None:
    with PlacementFixture() as placement:
        provider = placement.create_provider("compute-1", inventories={"CUSTOM_ACCELERATOR": {"total": 5}})

        def claim(_number: int) -> bool:
            try:
                placement.claim(provider, {"CUSTOM_ACCELERATOR": 1})
            except AssertionError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(claim, range(16))) == 5
