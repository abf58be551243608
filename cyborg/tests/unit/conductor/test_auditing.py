# SPDX-License-Identifier: Apache-2.0
"""An audit finds every difference between books and Placement, says why, and mends what may be mended."""

import datetime
import json
import uuid
from pathlib import Path

import pytest
from oslo_config import cfg
from sqlalchemy import update

from cyborg.cmd import manage
from cyborg.conductor.auditing import Auditor
from cyborg.domain import arq, report
from cyborg.domain.audit import Difference, Kind
from cyborg.domain.shape import Layout
from cyborg.store import host_list, models, operations
from cyborg.store.records import Drift
from cyborg.tests import builders
from cyborg.tests.nova_compute import NovaCompute
from cyborg.tests.placement_fixture import PlacementFixture
from cyborg.tests.unit.conductor.conftest import NOVA, Cloud
from cyborg.tests.unit.conductor.test_reshaping import CARDS, CLASS, GPUS, HOST, Site


@pytest.fixture
def conf(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    conf.set_override("audit_grace", 0, group="conductor")
    return conf


@pytest.fixture(params=list(Layout))
def site(request: pytest.FixtureRequest, cloud: Cloud, placement: PlacementFixture, conf: cfg.ConfigOpts) -> Site:
    """In both layouts, with its view published and nothing held."""
    root = placement.create_provider(HOST, inventories={"VCPU": {"total": 8}})
    site = Site(cloud, placement, conf, root)
    site.reshape(request.param)
    site.agent_round(request.param)
    return site


@pytest.fixture
def flat(cloud: Cloud, placement: PlacementFixture, conf: cfg.ConfigOpts) -> Site:
    root = placement.create_provider(HOST, inventories={"VCPU": {"total": 8}})
    site = Site(cloud, placement, conf, root)
    site.agent_round()
    return site


def found(site: Site, *, repair: bool = False, host: str | None = None) -> list[Difference]:
    auditor = Auditor(site.conf, site.cloud.store, site.client, pause=0)
    return list(auditor.run(host, repair=repair))


def kinds(differences: list[Difference]) -> set[str]:
    return {str(one.kind) for one in differences}


def gpu_carrier(site: Site) -> str:
    """The provider on which a server claims its first GPU."""
    return GPUS[0] if site.host().shape.layout is Layout.NESTED else site.root


def test_a_host_at_rest_has_no_differences(site: Site) -> None:
    assert found(site) == []


def test_a_host_with_servers_has_no_differences_once_its_agent_has_published(site: Site) -> None:
    site.boot("CUSTOM_GPU", provider=gpu_carrier(site))
    site.agent_round()
    assert found(site) == []


def test_a_change_of_inventory_is_found_and_the_agent_mends_it(site: Site) -> None:
    provider = gpu_carrier(site)
    others = {name: one for name, one in site.placement.inventories(provider).items() if name != CLASS}
    site.placement.put_inventories(provider, {**others, CLASS: {"total": 9}})
    (one,) = found(site)
    assert (one.kind, one.host) == (Kind.INVENTORY_DIFFERS, HOST)
    assert "total 9 reserved 0" in one.text
    generation = site.host().generation
    assert [one.repaired for one in found(site, repair=True)] == [True]
    assert site.host().generation > generation
    site.agent_round()
    assert found(site) == []


def test_a_class_that_was_wiped_is_found(site: Site) -> None:
    provider = gpu_carrier(site)
    others = {name: one for name, one in site.placement.inventories(provider).items() if name != CLASS}
    site.placement.put_inventories(provider, others)
    assert kinds(found(site)) == {"class_missing"}


def test_traits_that_came_or_went_are_found(flat: Site) -> None:
    flat.boot("CUSTOM_GPU", "CUSTOM_GPU", provider=flat.root)
    flat.agent_round()
    traits = flat.placement.traits(flat.root)
    flat.placement.put_traits(flat.root, traits - {"CUSTOM_FPGA"} | {"CUSTOM_GPU", "CUSTOM_OTHERS"})
    differences = found(flat)
    assert {(str(one.kind), one.subject) for one in differences} == {
        ("trait_missing", f"{HOST}/CUSTOM_FPGA"),
        ("trait_extra", f"{HOST}/CUSTOM_GPU"),
    }, "a trait that is not ours is none of our business"


def test_a_provider_that_is_gone_is_found_and_costs_nobody_a_card(flat: Site) -> None:
    server = flat.boot("CUSTOM_GPU")
    flat.placement.release(server)
    flat.placement.put_inventories(flat.root, {})
    flat.placement.delete_provider(flat.root)
    assert kinds(found(flat, repair=True)) == {"provider_missing"}
    assert [unit.holder for _, _, unit in flat.host().units() if unit.holder]


def test_a_claim_without_a_request_is_told_with_its_age_and_never_touched(site: Site) -> None:
    consumer = site.claim(gpu_carrier(site), 1)
    (one,) = found(site, repair=True)
    assert (one.kind, one.subject, one.repaired) == (Kind.CLAIM_WITHOUT_REQUEST, consumer, False)
    assert ", for 0:00:0" in one.text
    assert site.allocations(consumer)


def test_profile_and_plain_class_together_are_found(flat: Site) -> None:
    server = flat.claim(flat.root, 2)
    flat.bind(server, "CUSTOM_GPU", provider=flat.root)
    flat.agent_round()
    (one,) = found(flat)
    assert (one.kind, one.text) == (Kind.CLAIM_DIFFERS, "2 unit(s) are allocated and 1 request(s) bound")


def test_a_request_that_a_failed_unshelve_left_is_released_after_the_grace(site: Site) -> None:
    server = site.boot("CUSTOM_GPU", provider=gpu_carrier(site))
    site.agent_round()
    site.placement.release(server)
    site.conf.set_override("audit_grace", 600, group="conductor")
    assert found(site) == [], "it may just be on its way"
    site.conf.set_override("audit_grace", 0, group="conductor")
    (one,) = found(site)
    assert (one.kind, one.repaired) == (Kind.REQUEST_WITHOUT_CLAIM, False)
    assert [one.repaired for one in found(site, repair=True)] == [True]
    request = site.cloud.get(one.subject)
    assert request is not None
    assert (request.state, request.attach_handle) == (arq.State.UNBOUND, None)
    site.agent_round()
    assert found(site, repair=True) == []
    site.boot("CUSTOM_GPU", provider=gpu_carrier(site))


def test_a_running_server_that_lost_its_allocation_of_ours_keeps_its_card(flat: Site) -> None:
    server = flat.boot("CUSTOM_GPU")
    flat.agent_round()
    body = flat.placement.request("GET", f"/allocations/{server}")
    body["allocations"] = {flat.root: {"resources": {"VCPU": 1}}}
    flat.placement.request("PUT", f"/allocations/{server}", body)
    (one,) = found(flat, repair=True)
    assert (one.kind, one.repaired) == (Kind.REQUEST_WITHOUT_CLAIM, False)
    assert "somebody changed its allocation" in one.text


def test_an_evacuated_server_that_still_has_its_old_allocation_is_no_difference(
    flat: Site, placement: PlacementFixture
) -> None:
    server = flat.boot("CUSTOM_GPU")
    other = placement.create_provider("compute-2", inventories={"VCPU": {"total": 8}, CLASS: {"total": 1}})
    flat.cloud.host("compute-2", builders.gpu("0000:09:00.0"), provider=other)
    flat.cloud.client.delete_for_instance(NOVA, server)
    body = flat.placement.request("GET", f"/allocations/{server}")
    body["allocations"][other] = {"resources": {CLASS: 1}}
    flat.placement.request("PUT", f"/allocations/{server}", body)
    (request,) = flat.cloud.request("CUSTOM_GPU")
    flat.cloud.bind([request], host="compute-2", provider=other, instance=server)
    flat.agent_round()
    assert found(flat, host=HOST) == []


def test_a_bound_request_without_an_accelerator_is_found_and_unbound(flat: Site) -> None:
    server = flat.boot("CUSTOM_GPU")
    flat.placement.release(server)
    with flat.cloud.store.transaction() as tx:
        tx.execute(update(models.Accelerator).values(arq_uuid=None))
    (one,) = found(flat, repair=True)
    assert (one.kind, one.repaired) == (Kind.REQUEST_WITHOUT_ACCELERATOR, True)
    assert found(flat) == []


def test_an_accelerator_whose_holder_is_not_bound_is_found_and_freed(flat: Site) -> None:
    server = flat.boot("CUSTOM_GPU")
    flat.placement.release(server)
    with flat.cloud.store.transaction() as tx:
        tx.execute(update(models.Arq).values(state=arq.State.UNBOUND, hostname=None, instance_uuid=None))
    (one,) = found(flat, repair=True)
    assert (one.kind, one.repaired) == (Kind.WRONG_HOLDER, True)
    assert not [unit for _, _, unit in flat.host().units() if unit.holder]


def test_a_held_card_that_is_missing_and_a_host_that_is_down_are_told(flat: Site) -> None:
    flat.boot("CUSTOM_FPGA")
    flat.cloud.client.report(report.DeviceReport(host=HOST, driver="fake_driver", devices=CARDS[:2]))
    flat.agent_round()
    with flat.cloud.store.transaction() as tx:
        tx.execute(update(models.Host).values(seen_at=operations.now() - datetime.timedelta(hours=1)))
    assert kinds(found(flat)) == {"held_device_missing", "host_down"}


def test_an_operation_past_its_deadline_is_told(flat: Site) -> None:
    past = operations.now() - datetime.timedelta(minutes=1)
    later = operations.now() + datetime.timedelta(minutes=1)
    with flat.cloud.store.transaction() as tx:
        operations.add(tx, [operations.new(kind="nova_events", payload={}, deadline=past, next_at=later)])
    (one,) = found(flat)
    assert (one.kind, one.host) == (Kind.OPERATION_LATE, "")


def test_novas_ceiling_is_compared_by_what_is_usable(
    cloud: Cloud, placement: PlacementFixture, conf: cfg.ConfigOpts, tmp_path: Path
) -> None:
    nova = NovaCompute(placement, placement.create_provider(HOST), tmp_path)
    nova.start()
    site = Site(cloud, placement, conf, nova.provider)
    site.agent_round()
    (one,) = found(site)
    assert (one.kind, "restart it once" in one.text) == (Kind.CLASS_MISSING, True)
    nova.start()
    assert kinds(found(site)) == {"inventory_differs", "trait_missing"}
    site.agent_round()
    assert found(site) == []


def test_an_unchanged_host_costs_two_requests(flat: Site) -> None:
    auditor = Auditor(flat.conf, flat.cloud.store, flat.client, pause=0)
    assert list(auditor.run()) == []
    flat.placement.log.clear()
    assert list(auditor.run()) == []
    assert len(flat.placement.log) == 2


def test_many_hosts_are_read_in_pages(flat: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyborg.conductor.auditing.PAGE", 2)
    for number in range(5):
        flat.cloud.host(f"other-{number}", provider=str(uuid.uuid4()))
    assert {one.host for one in found(flat)} == {f"other-{number}" for number in range(5)}


def drift(site: Site, name: str = HOST) -> Drift | None:
    with site.cloud.store.reading() as tx:
        return host_list.get(tx, name).drift


def test_what_an_audit_finds_is_shown_with_the_host_until_another_one_finds_it_mended(flat: Site) -> None:
    flat.cloud.host("other", provider=str(uuid.uuid4()))
    assert drift(flat) is None
    flat.placement.put_traits(flat.root, [])
    first, *others = found(flat, host=HOST)
    noted = drift(flat)
    assert noted is not None
    assert noted.number == 1 + len(others)
    assert noted.differences[0] == {"kind": str(first.kind), "subject": first.subject, "text": first.text}
    assert drift(flat, "other") is None, "nobody looked there"
    found(flat, host=HOST, repair=True)
    flat.agent_round()
    assert found(flat, host=HOST) == []
    mended = drift(flat)
    assert mended is not None
    assert (mended.number, mended.differences) == (0, ())


def test_what_an_audit_mends_is_not_kept_as_a_difference(flat: Site) -> None:
    flat.placement.put_traits(flat.root, [])
    assert all(one.repaired for one in found(flat, repair=True))
    noted = drift(flat)
    assert noted is not None
    assert noted.number == 0


def test_the_command_prints_lines_and_says_by_its_status_whether_all_is_well(
    flat: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Auditor.__init__, "__kwdefaults__", {"pause": 0, "goes_on": lambda: True})
    config = tmp_path / "cyborg.conf"
    config.write_text(
        f"[database]\nconnection = {flat.cloud.store.engine.url}\n"
        f"[placement]\nauth_type = admin_token\nendpoint = {flat.placement.url}\ntoken = admin\n"
    )
    command = ["--config-file", str(config), "audit"]
    assert manage.main(command) == 0
    assert capsys.readouterr().out == ""
    flat.placement.put_traits(flat.root, [])
    assert manage.main([*command, "--host", HOST, "--json"]) == 1
    line, *_ = capsys.readouterr().out.splitlines()
    assert json.loads(line)["kind"] == "trait_missing"
    assert manage.main([*command, "--repair"]) == 0
    assert "[repaired]" in capsys.readouterr().out
    assert manage.main([*command, "--host", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err
