# SPDX-License-Identifier: Apache-2.0
"""On a provider of nova-compute the class comes from the provider config file, and `reserved` from us."""

import dataclasses
import logging
from pathlib import Path

import pytest
import yaml
from oslo_config import cfg

from cyborg.domain import view
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.tests.nova_compute import OWN, NovaCompute
from cyborg.tests.placement_fixture import PlacementFixture, Request
from cyborg.tests.unit.domain.test_layout_nested import mixed
from cyborg.tests.unit.placement.builders import CLASS, FPGA, GPU, HOST, host_view


@pytest.fixture
def nova(placement: PlacementFixture, tmp_path: Path) -> NovaCompute:
    nova = NovaCompute(placement, placement.create_provider(HOST), tmp_path)
    nova.start()
    return nova


def shown(placement: PlacementFixture, nova: NovaCompute) -> tuple[int, int]:
    inventory = placement.inventories(nova.provider)[CLASS]
    return inventory["total"], inventory["reserved"]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_inventory_is_asked_for_in_the_file_and_never_written(
    placement: PlacementFixture, publisher: Publisher, nova: NovaCompute, tmp_path: Path
) -> None:
    publisher.publish(host_view(nova.provider, 4, shown=GPU))
    assert [request for request in placement.log if not request.is_read] == []
    assert yaml.safe_load((tmp_path / "cyborg.yaml").read_text()) == {
        "meta": {"schema_version": "1.0"},
        "providers": [
            {
                "identification": {"uuid": nova.provider},
                "inventories": {"additional": [{CLASS: {"total": 68}}]},
            }
        ],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["cyborg.yaml"]
    assert (tmp_path / "cyborg.yaml").stat().st_mode & 0o777 == 0o644


def test_from_the_file_to_a_running_server_and_back(
    placement: PlacementFixture, publisher: Publisher, nova: NovaCompute
) -> None:
    publisher.publish(host_view(nova.provider, 2, shown=GPU | FPGA))
    nova.start()
    assert shown(placement, nova) == (66, 0)
    assert placement.candidates({CLASS: 1}, ["CUSTOM_GPU"]) == set(), "without our traits nothing is scheduled yet"
    publisher.publish(host_view(nova.provider, 2, shown=GPU | FPGA))
    assert shown(placement, nova) == (66, 64)
    assert placement.candidates({CLASS: 1}, ["CUSTOM_GPU"]) == {nova.provider}
    holder = placement.claim(nova.provider, {CLASS: 1, "VCPU": 1})
    publisher.publish(host_view(nova.provider, 2, shown=FPGA, withdrawn=GPU))
    assert shown(placement, nova) == (66, 64)
    assert placement.candidates({CLASS: 1}, ["CUSTOM_GPU"]) == set()
    nova.refresh()
    nova.start()
    assert shown(placement, nova) == (66, 64), "nova does not compare reserved"
    placement.claim(nova.provider, {CLASS: 1})
    placement.claim(nova.provider, {CLASS: 1}, expect=409)
    placement.release(holder)
    publisher.publish(host_view(nova.provider, 2, shown=GPU | FPGA))
    assert placement.candidates({CLASS: 1}, ["CUSTOM_GPU"]) == {nova.provider}
    assert set(placement.inventories(nova.provider)) == {CLASS, *OWN}
    assert placement.traits(nova.provider) == {"COMPUTE_NODE", "OWNER_NOVA", *GPU, *FPGA}


def test_reserved_is_right_before_the_traits_appear(
    placement: PlacementFixture, publisher: Publisher, nova: NovaCompute
) -> None:
    publisher.publish(host_view(nova.provider, 2, shown=GPU))
    nova.start()
    placement.log.clear()
    publisher.publish(host_view(nova.provider, 2, shown=GPU))
    changed = [request.path.rsplit("/", 1)[1] for request in placement.log if request.method == "PUT"]
    assert [name for name in changed if name in {CLASS, "traits"}] == [CLASS, "traits"]


def test_an_unchanged_view_costs_one_read(placement: PlacementFixture, publisher: Publisher, nova: NovaCompute) -> None:
    wanted = host_view(nova.provider, 2, shown=GPU)
    for started in (False, True):
        if started:
            nova.start()
        publisher.publish(wanted)
        placement.log.clear()
        publisher.publish(wanted)
        assert placement.log == [Request("GET", f"/resource_providers?in_tree={nova.provider}")]


def test_reserved_that_nova_lost_is_set_again(
    placement: PlacementFixture, publisher: Publisher, nova: NovaCompute
) -> None:
    wanted = host_view(nova.provider, 2, shown=GPU)
    publisher.publish(wanted)
    nova.start()
    publisher.publish(wanted)
    placement.put_inventories(nova.provider, {**OWN, CLASS: {"total": 9}})
    nova.refresh()
    assert shown(placement, nova) == (66, 0)
    publisher.publish(wanted)
    assert shown(placement, nova) == (66, 64)


def test_cards_that_come_and_go_change_reserved_only(
    placement: PlacementFixture, publisher: Publisher, nova: NovaCompute, tmp_path: Path
) -> None:
    publisher.publish(host_view(nova.provider, 2, shown=GPU))
    nova.start()
    file = (tmp_path / "cyborg.yaml").stat()
    for total, reserved in ((10, 0), (10, 3), (1, 1), (0, 0), (66, 0)):
        publisher.publish(host_view(nova.provider, total, reserved))
        assert shown(placement, nova) == (66, 66 - (total - reserved))
    assert (tmp_path / "cyborg.yaml").stat() == file


def test_a_host_without_accelerators_needs_no_file(
    placement: PlacementFixture, publisher: Publisher, nova: NovaCompute, tmp_path: Path
) -> None:
    publisher.publish(host_view(nova.provider, 0))
    assert list(tmp_path.iterdir()) == []


def test_the_operator_is_told_once_what_to_restart_and_once_that_it_worked(
    publisher: Publisher, nova: NovaCompute, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cyborg.placement.nova_managed")
    wanted = host_view(nova.provider, 2, shown=GPU)
    for _ in range(3):
        publisher.publish(wanted)
    (message,) = messages(caplog)
    assert message.startswith(f"Restart nova-compute on {HOST} once: {tmp_path}/cyborg.yaml asks it to show {CLASS}. ")
    nova.start()
    caplog.clear()
    for _ in range(3):
        publisher.publish(wanted)
    assert [record.getMessage() for record in caplog.records if record.name.endswith("nova_managed")] == [
        f"Nova shows all classes of ours on provider {nova.provider} now."
    ]


def test_more_units_than_the_ceiling_are_clamped_and_the_file_grows(
    placement: PlacementFixture,
    client: PlacementClient,
    conf: cfg.ConfigOpts,
    nova: NovaCompute,
    caplog: pytest.LogCaptureFixture,
) -> None:
    conf.set_override("nova_inventory_headroom", 1, group="placement")
    publisher = Publisher(client, conf)
    publisher.publish(host_view(nova.provider, 1, shown=GPU))
    nova.start()
    caplog.clear()
    for _ in range(2):
        publisher.publish(host_view(nova.provider, 5, shown=GPU))
        assert shown(placement, nova) == (2, 0)
    (message,) = messages(caplog)
    assert "raise [placement] nova_inventory_headroom" in message
    nova.start()
    publisher.publish(host_view(nova.provider, 5, shown=GPU))
    assert shown(placement, nova) == (6, 1)


def test_a_new_agent_leaves_a_file_that_is_large_enough(
    client: PlacementClient, conf: cfg.ConfigOpts, nova: NovaCompute, tmp_path: Path
) -> None:
    Publisher(client, conf).publish(host_view(nova.provider, 2))
    file = (tmp_path / "cyborg.yaml").stat()
    Publisher(client, conf).publish(host_view(nova.provider, 5))
    after = (tmp_path / "cyborg.yaml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (file.st_ino, file.st_mtime_ns)


def test_a_file_for_an_earlier_provider_of_the_host_is_replaced(
    publisher: Publisher, nova: NovaCompute, tmp_path: Path
) -> None:
    publisher.publish(host_view(nova.provider, 2))
    path = tmp_path / "cyborg.yaml"
    path.write_text(path.read_text().replace(nova.provider, "6a7f1b3a-8f9e-4b62-9d49-6f0a3c1f0f11"))
    publisher.publish(host_view(nova.provider, 2))
    assert nova.provider in path.read_text()


@pytest.mark.parametrize("content", ["", "]", "providers: 3", "providers: [1, {identification: 2}]", "a: [b"])
def test_a_broken_file_of_ours_is_replaced(
    publisher: Publisher, nova: NovaCompute, tmp_path: Path, content: str
) -> None:
    (tmp_path / "cyborg.yaml").write_text(content)
    publisher.publish(host_view(nova.provider, 2))
    assert nova.provider in (tmp_path / "cyborg.yaml").read_text()


@pytest.mark.parametrize("identification", ["uuid: $COMPUTE_NODE", f"name: {HOST}", "uuid: {provider}"])
def test_a_provider_that_another_file_names_is_left_to_that_file(
    publisher: Publisher,
    nova: NovaCompute,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    identification: str,
) -> None:
    other = tmp_path / "site.yaml"
    other.write_text(f"providers:\n- identification: {{{identification.format(provider=nova.provider)}}}\n")
    for _ in range(2):
        publisher.publish(host_view(nova.provider, 2))
    assert not (tmp_path / "cyborg.yaml").exists()
    (message,) = messages(caplog)
    assert f"Add {CLASS} with total 2 or more to its additional inventories there." in message
    assert str(other) in message


def test_a_class_that_the_operator_configured_is_steered_as_well(
    placement: PlacementFixture, publisher: Publisher, nova: NovaCompute, tmp_path: Path
) -> None:
    (tmp_path / "site.yaml").write_text(
        "meta: {schema_version: '1.0'}\n"
        "providers:\n- identification: {uuid: $COMPUTE_NODE}\n"
        f"  inventories: {{additional: [{CLASS}: {{total: 16, max_unit: 4}}]}}\n"
    )
    nova.start()
    publisher.publish(host_view(nova.provider, 2, shown=GPU))
    assert shown(placement, nova) == (16, 14)
    assert placement.inventories(nova.provider)[CLASS]["max_unit"] == 4
    assert not (tmp_path / "cyborg.yaml").exists()


def test_a_file_that_cannot_be_written_is_said_once_and_harms_nothing(
    client: PlacementClient, conf: cfg.ConfigOpts, nova: NovaCompute, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "occupied").write_text("a file where a directory should be")
    conf.set_override("nova_provider_config", str(tmp_path / "occupied" / "cyborg.yaml"), group="placement")
    publisher = Publisher(client, conf)
    for _ in range(3):
        publisher.publish(host_view(nova.provider, 2, shown=GPU))
    (message,) = messages(caplog)
    assert message.startswith(f"Nova cannot be asked to show {CLASS} on provider {HOST}: ")
    assert str(tmp_path / "occupied") in message


def test_owner_cyborg_is_refused_once_and_inventory_is_not_written(
    placement: PlacementFixture,
    client: PlacementClient,
    conf: cfg.ConfigOpts,
    nova: NovaCompute,
    caplog: pytest.LogCaptureFixture,
) -> None:
    conf.set_override("inventory_owner", "cyborg", group="placement")
    publisher = Publisher(client, conf)
    for _ in range(2):
        publisher.publish(host_view(nova.provider, 2))
    assert CLASS not in placement.inventories(nova.provider)
    assert sum("inventory_owner = cyborg is refused" in message for message in messages(caplog)) == 1


@pytest.mark.parametrize("claimed", [False, True])
def test_what_was_written_before_nova_put_its_traits_there_is_taken_back(
    placement: PlacementFixture, publisher: Publisher, tmp_path: Path, claimed: bool
) -> None:
    nova = NovaCompute(placement, placement.create_provider(HOST), tmp_path)
    wanted = host_view(nova.provider, 2, shown=GPU)
    publisher.publish(wanted)
    assert shown(placement, nova) == (2, 0)
    holder = placement.claim(nova.provider, {CLASS: 1}) if claimed else ""
    placement.put_traits(nova.provider, placement.traits(nova.provider) | {"COMPUTE_NODE"})
    publisher.publish(wanted)
    assert (tmp_path / "cyborg.yaml").exists()
    assert not placement.traits(nova.provider) & GPU
    if claimed:
        assert shown(placement, nova) == (2, 2), "it cannot go while it is used, but nobody else gets it"
        placement.release(holder)
        publisher.publish(wanted)
    assert CLASS not in placement.inventories(nova.provider)
    nova.start()
    publisher.publish(wanted)
    publisher.publish(wanted)
    assert shown(placement, nova) == (66, 64)


def test_typed_standard_classes_are_refused_and_nothing_is_scheduled(
    placement: PlacementFixture,
    publisher: Publisher,
    nova: NovaCompute,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = dataclasses.replace(mixed(Shape(naming=Naming.TYPED)), provider_uuid=nova.provider)
    for _ in range(3):
        publisher.publish(view.view(host))
    assert set(placement.inventories(nova.provider)) == set(OWN)
    assert placement.traits(nova.provider) == {"COMPUTE_NODE", "OWNER_NOVA"}
    assert not (tmp_path / "cyborg.yaml").exists()
    (message,) = messages(caplog)
    assert "not FPGA, PGPU" in message
    assert "provider_layout = nested" in message


def test_a_standard_class_that_is_novas_own_is_never_steered(
    placement: PlacementFixture, publisher: Publisher, nova: NovaCompute
) -> None:
    placement.put_inventories(nova.provider, {**OWN, "PGPU": {"total": 4}})
    for shape in (Shape(naming=Naming.TYPED), Shape(layout=Layout.NESTED, naming=Naming.TYPED)):
        publisher.publish(view.view(dataclasses.replace(mixed(shape), provider_uuid=nova.provider)))
        assert placement.inventories(nova.provider)["PGPU"]["reserved"] == 0


def test_children_of_novas_provider_need_neither_file_nor_restart(
    placement: PlacementFixture, client: PlacementClient, conf: cfg.ConfigOpts, nova: NovaCompute, tmp_path: Path
) -> None:
    conf.set_override("provider_layout", "nested", group="placement")
    publisher = Publisher(client, conf)
    host = dataclasses.replace(mixed(), provider_uuid=nova.provider)
    publisher.publish(view.view(host))
    assert len(placement.candidates({CLASS: 1})) == 2
    nova.refresh()
    nova.start()
    publisher.publish(view.view(host))
    assert len(placement.candidates({CLASS: 1})) == 2
    assert not (tmp_path / "cyborg.yaml").exists()


def test_a_file_of_somebody_else_is_not_removed_and_the_class_stays_closed(
    placement: PlacementFixture, client: PlacementClient, conf: cfg.ConfigOpts, nova: NovaCompute, tmp_path: Path
) -> None:
    conf.set_override("provider_layout", "nested", group="placement")
    text = (
        "meta: {schema_version: '1.0'}\n"
        f"providers:\n- identification: {{uuid: {nova.provider}}}\n"
        f"  inventories: {{additional: [{CLASS}: {{total: 16}}]}}\n"
    )
    (tmp_path / "cyborg.yaml").write_text(text)
    nova.start()
    publisher = Publisher(client, conf)
    publisher.publish(view.view(dataclasses.replace(mixed(), provider_uuid=nova.provider)))
    assert (tmp_path / "cyborg.yaml").read_text() == text
    assert shown(placement, nova) == (16, 16)


def test_the_file_stays_while_somebody_holds_a_unit_of_the_class(
    placement: PlacementFixture, client: PlacementClient, conf: cfg.ConfigOpts, nova: NovaCompute, tmp_path: Path
) -> None:
    Publisher(client, conf).publish(host_view(nova.provider, 2, shown=GPU))
    nova.start()
    holder = placement.claim(nova.provider, {CLASS: 1})
    conf.set_override("provider_layout", "nested", group="placement")
    publisher = Publisher(client, conf)
    nested = view.view(dataclasses.replace(mixed(), provider_uuid=nova.provider))
    publisher.publish(nested)
    assert (tmp_path / "cyborg.yaml").exists()
    placement.release(holder)
    publisher.publish(nested)
    assert not (tmp_path / "cyborg.yaml").exists()
