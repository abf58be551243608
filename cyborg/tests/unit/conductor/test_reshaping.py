# SPDX-License-Identifier: Apache-2.0
"""A host moves between layouts with its running allocations; books and Placement agree whatever dies in between."""

import contextlib
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from cyborg.cmd import manage
from cyborg.conductor.reshaping import Reshaper
from cyborg.domain import errors, inventory, names, reshape, view
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.placement.client import PlacementClient
from cyborg.placement.mover import Consumer, Mover
from cyborg.placement.publisher import Publisher
from cyborg.store import arqs, hosts
from cyborg.tests import builders
from cyborg.tests.nova_compute import NovaCompute
from cyborg.tests.placement_fixture import PlacementFixture
from cyborg.tests.unit.conductor.conftest import NOVA, Cloud

HOST = "compute-1"
CLASS = view.GENERIC_CLASS
FLAT, NESTED = Shape(), Shape(layout=Layout.NESTED)
GPUS = [names.provider_uuid(f"{HOST}_0000:{bus}:00.0") for bus in ("01", "02")]
REGION = names.provider_uuid(f"{HOST}_0000:5e:00.0_region0")
CARDS = (builders.gpu("0000:01:00.0"), builders.gpu("0000:02:00.0"), builders.fpga())


class DyingMover(Mover):
    """Its process dies right before, or right after, Placement has moved everything."""

    def __init__(self, client: PlacementClient, *, after: bool) -> None:
        super().__init__(client)
        self._after = after

    def move(
        self,
        wanted: Sequence[view.Provider],
        moves: Iterable[reshape.Move],
        consumers: Mapping[str, Consumer],
    ) -> None:
        if self._after:
            super().move(wanted, moves, consumers)
        raise KeyboardInterrupt


class Site:
    """One host with three accelerators, its agent's publisher, and servers that come and go."""

    def __init__(self, cloud: Cloud, placement: PlacementFixture, conf: cfg.ConfigOpts, root: str) -> None:
        self.cloud = cloud
        self.placement = placement
        self.conf = conf
        self.root = root
        self.client = PlacementClient.from_conf(conf)
        self.publisher = Publisher(self.client, conf)
        self.said: list[str] = []
        cloud.host(HOST, *CARDS, provider=root)

    def agent_round(self, wish: Layout | None = None) -> view.HostView:
        """What the agent does with its next report; ``wish`` is its option, and a new one restarts it."""
        if wish is not None:
            self.conf.set_override("provider_layout", wish, group="placement")
            self.publisher = Publisher(self.client, self.conf)
        shown = self.cloud.client.sync(HOST, self.root, {"fake_driver": ""}, -1).view
        assert shown is not None
        self.publisher.publish(shown)
        return shown

    def boot(self, *traits: str, provider: str | None = None, resource: str = CLASS) -> str:
        """A server with one accelerator for each trait, as Nova builds it."""
        provider = provider or self.root
        instance = self.claim(provider, len(traits), resource)
        self.bind(instance, *traits, provider=provider)
        return instance

    def claim(self, provider: str, amount: int, resource: str = CLASS) -> str:
        consumer = str(uuid.uuid4())
        allocations = {self.root: {"resources": {"VCPU": 1}}}
        allocations.setdefault(provider, {"resources": {}})["resources"][resource] = amount
        body = {
            "allocations": allocations,
            "consumer_generation": None,
            "project_id": "p",
            "user_id": "u",
            "consumer_type": "INSTANCE",
        }
        self.placement.request("PUT", f"/allocations/{consumer}", body)
        return consumer

    def bind(self, instance: str, *traits: str, provider: str) -> None:
        requests = [one for trait in traits for one in self.cloud.request(trait)]
        self.cloud.bind(requests, host=HOST, provider=provider, instance=instance)

    def delete(self, instance: str) -> None:
        self.cloud.client.delete_for_instance(NOVA, instance)
        self.placement.release(instance)

    def reshape(self, to: Layout, naming: Naming | None = None, *, mover: Mover | None = None, **options: Any) -> None:
        patience = options.pop("patience", 0)
        reshaper = Reshaper(self.cloud.store, mover or Mover(self.client), self.said.append, patience=patience)
        reshaper.run(HOST, to, naming, **options)

    def host(self) -> inventory.Host:
        with self.cloud.store.transaction() as tx:
            found = hosts.load(tx, HOST)
        assert found is not None
        return found

    def allocations(self, consumer: str) -> dict[str, dict[str, int]]:
        found = self.placement.request("GET", f"/allocations/{consumer}")["allocations"]
        return {provider: part["resources"] for provider, part in found.items()}

    def providers_of(self, instance: str) -> set[str | None]:
        with self.cloud.store.reading() as tx:
            return {one.device_rp_uuid for one in arqs.of_instance(tx, instance).values()}

    def offered(self, *traits: str) -> set[str]:
        return self.placement.candidates({CLASS: 1}, traits)

    def providers(self) -> dict[str, tuple[Any, ...]]:
        """Everything there is in Placement, for comparison."""
        found = self.placement.request("GET", "/resource_providers")["resource_providers"]
        return {
            one["uuid"]: (
                self.placement.inventories(one["uuid"]),
                self.placement.traits(one["uuid"]),
                self.placement.usages(one["uuid"]),
            )
            for one in found
        }


@pytest.fixture
def site(cloud: Cloud, placement: PlacementFixture, conf: cfg.ConfigOpts) -> Site:
    root = placement.create_provider(HOST, inventories={"VCPU": {"total": 8}})
    site = Site(cloud, placement, conf, root)
    site.agent_round()
    return site


def test_there_and_back_with_running_servers(site: Site) -> None:
    both, gpu = site.boot("CUSTOM_GPU", "CUSTOM_FPGA"), site.boot("CUSTOM_GPU")
    site.agent_round()
    before = site.allocations(both), site.allocations(gpu)
    site.reshape(Layout.NESTED)
    assert site.allocations(both) == {site.root: {"VCPU": 1}, GPUS[0]: {CLASS: 1}, REGION: {CLASS: 1}}
    assert site.allocations(gpu) == {site.root: {"VCPU": 1}, GPUS[1]: {CLASS: 1}}
    assert site.providers_of(both) == {GPUS[0], REGION}
    assert (site.host().shape, site.host().moving_to) == (NESTED, None)
    site.agent_round()
    assert site.offered() == set()
    site.delete(gpu)
    site.agent_round()
    assert site.offered("CUSTOM_GPU") == {GPUS[1]}
    assert set(site.placement.inventories(site.root)) == {"VCPU"}
    gpu = site.boot("CUSTOM_GPU", provider=GPUS[1])
    site.reshape(Layout.COMPUTE_NODE)
    assert (site.allocations(both), site.allocations(gpu)) == before
    assert site.providers_of(both) == {site.root}
    site.agent_round()
    assert site.offered() == set()
    site.delete(both)
    site.agent_round()
    assert site.offered("CUSTOM_FPGA") == site.offered("CUSTOM_GPU") == {site.root}
    assert site.placement.inventories(GPUS[0]) == {}


def test_free_accelerators_are_on_offer_again_after_the_agents_next_report(site: Site) -> None:
    site.boot("CUSTOM_GPU")
    site.reshape(Layout.NESTED)
    assert site.offered() == set()
    site.agent_round()
    assert site.offered() == {GPUS[1], REGION}


def test_a_move_that_was_done_is_not_done_again(site: Site) -> None:
    site.boot("CUSTOM_GPU")
    site.reshape(Layout.NESTED)
    site.agent_round()
    before = site.providers()
    site.reshape(Layout.NESTED)
    assert site.providers() == before
    assert "already" in site.said[-1]


def test_a_dry_run_tells_and_changes_nothing(site: Site) -> None:
    server = site.boot("CUSTOM_GPU")
    site.agent_round()
    before, books = site.providers(), site.host()
    site.reshape(Layout.NESTED, dry_run=True)
    assert (site.providers(), site.host()) == (before, books)
    told = "\n".join(site.said)
    assert f"allocation of {server} moves: {CLASS} 1 of {site.root}" in told
    assert f"{CLASS} 1 of {GPUS[0]}" in told
    assert "total 1, reserved 0" in told


@pytest.mark.parametrize("goal", [Layout.NESTED, Layout.COMPUTE_NODE])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("start", [Layout.COMPUTE_NODE, Layout.NESTED])
def test_after_a_crash_in_the_middle_nothing_is_offered_and_the_next_run_makes_it_right(
    site: Site, start: Layout, goal: Layout, after: bool
) -> None:
    if start is Layout.NESTED:
        site.reshape(Layout.NESTED)
        site.agent_round()
    server = site.boot("CUSTOM_GPU", provider=GPUS[0] if start is Layout.NESTED else None)
    site.agent_round()
    other = Layout.COMPUTE_NODE if start is Layout.NESTED else Layout.NESTED
    with pytest.raises(KeyboardInterrupt):
        site.reshape(other, mover=DyingMover(site.client, after=after))
    for _ in range(2):
        assert site.offered() == set()
        assert site.agent_round().providers == ()
    site.reshape(goal)
    site.agent_round()
    nested = goal is Layout.NESTED
    carrier = GPUS[0] if nested else site.root
    assert site.host().shape.layout is goal
    assert site.providers_of(server) == {carrier}
    assert {provider for provider, part in site.allocations(server).items() if CLASS in part} == {carrier}
    assert site.offered("CUSTOM_GPU") == {GPUS[1] if nested else site.root}
    assert site.offered("CUSTOM_FPGA") == {REGION if nested else site.root}


def test_a_server_that_dies_with_the_command_is_released_meanwhile(site: Site) -> None:
    server = site.boot("CUSTOM_GPU")
    with pytest.raises(KeyboardInterrupt):
        site.reshape(Layout.NESTED, mover=DyingMover(site.client, after=True))
    site.delete(server)
    site.reshape(Layout.NESTED)
    site.agent_round()
    assert site.offered("CUSTOM_GPU") == set(GPUS)


def test_an_allocation_without_requests_is_in_the_way_and_all_stays_as_it_was(site: Site) -> None:
    site.boot("CUSTOM_GPU")
    site.agent_round()
    stray = site.claim(site.root, 1)
    before = site.providers()
    with pytest.raises(errors.Conflict, match=f"consumer {stray} has 1 .* and 0 bound"):
        site.reshape(Layout.NESTED)
    assert (site.host().shape, site.host().moving_to) == (FLAT, None)
    site.agent_round()
    assert site.providers() == before


def test_a_server_that_is_being_built_is_waited_for(site: Site) -> None:
    instance = site.claim(site.root, 1)
    builder = threading.Timer(0.7, lambda: site.bind(instance, "CUSTOM_GPU", provider=site.root))
    builder.start()
    site.reshape(Layout.NESTED, patience=20)
    builder.join()
    assert site.providers_of(instance) == {GPUS[0]}
    assert site.allocations(instance)[GPUS[0]] == {CLASS: 1}


def test_naming_moves_with_the_layout_or_alone(site: Site) -> None:
    server = site.boot("CUSTOM_GPU")
    site.reshape(Layout.NESTED, Naming.TYPED)
    assert site.allocations(server)[GPUS[0]] == {"PGPU": 1}
    site.agent_round()
    assert set(site.placement.inventories(REGION)) == {"FPGA"}
    site.reshape(Layout.NESTED, Naming.GENERIC)
    site.agent_round()
    assert site.allocations(server)[GPUS[0]] == {CLASS: 1}
    assert set(site.placement.inventories(GPUS[0])) == {CLASS}
    site.reshape(Layout.COMPUTE_NODE, Naming.TYPED)
    site.agent_round()
    assert site.allocations(server) == {site.root: {"VCPU": 1, "PGPU": 1}}
    assert {name: one["total"] for name, one in site.placement.inventories(site.root).items()} == {
        "VCPU": 8,
        "PGPU": 2,
        "FPGA": 1,
    }


def test_a_writer_in_between_makes_it_start_over(site: Site) -> None:
    server = site.boot("CUSTOM_GPU")
    interferences = iter([True, True])

    def interfere(request: Any) -> None:
        if request.path == "/reshaper" and next(interferences, False):
            site.placement.put_inventories(
                site.root, {**site.placement.inventories(site.root), "DISK_GB": {"total": 5}}
            )

    site.placement.before = interfere
    site.reshape(Layout.NESTED)
    assert next(interferences, None) is None
    assert site.allocations(server)[GPUS[0]] == {CLASS: 1}
    assert "DISK_GB" in site.placement.inventories(site.root)


def test_an_outage_in_the_middle_leaves_it_to_the_next_run(site: Site) -> None:
    server = site.boot("CUSTOM_GPU")

    def fail(request: Any) -> None:
        site.placement.answer_with = "503 Busy" if request.path == "/reshaper" else None

    site.placement.before = fail
    with pytest.raises(errors.Unavailable):
        site.reshape(Layout.NESTED)
    assert "run again" in site.said[-1]
    site.placement.before, site.placement.answer_with = (lambda _: None), None
    site.reshape(Layout.NESTED)
    assert site.providers_of(server) == {GPUS[0]}


def test_an_unknown_host_is_named(site: Site) -> None:
    with pytest.raises(errors.NotFound, match="'compute-9'"):
        Reshaper(site.cloud.store, Mover(site.client), site.said.append).run("compute-9", Layout.NESTED)


@pytest.fixture
def managed(
    cloud: Cloud, placement: PlacementFixture, conf: cfg.ConfigOpts, tmp_path: Path
) -> tuple[Site, NovaCompute]:
    nova = NovaCompute(placement, placement.create_provider(HOST), tmp_path)
    nova.start()
    site = Site(cloud, placement, conf, nova.provider)
    site.agent_round()
    nova.start()
    site.agent_round()
    return site, nova


def test_from_novas_provider_to_children_the_file_goes_last(
    managed: tuple[Site, NovaCompute], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, nova = managed
    server = site.boot("CUSTOM_GPU")
    site.agent_round()
    site.reshape(Layout.NESTED)
    assert site.allocations(server)[GPUS[0]] == {CLASS: 1}
    assert "Do not remove the provider config file yourself" in site.said[-1]
    site.agent_round()
    assert (tmp_path / "cyborg.yaml").exists(), "the option still says compute_node"
    site.agent_round(Layout.NESTED)
    assert not (tmp_path / "cyborg.yaml").exists()
    assert f"Restart nova-compute on {HOST} once, at any time" in caplog.text
    nova.refresh()
    assert site.offered() == {GPUS[1], REGION}, "what nova still shows is closed"
    nova.start()
    site.agent_round()
    assert CLASS not in site.placement.inventories(site.root)
    assert site.offered("CUSTOM_GPU") == {GPUS[1]}


def test_from_children_to_novas_provider_the_class_has_to_be_there_first(
    managed: tuple[Site, NovaCompute], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, nova = managed
    site.reshape(Layout.NESTED)
    site.agent_round(Layout.NESTED)
    nova.start()
    server = site.boot("CUSTOM_GPU", provider=GPUS[0])
    with pytest.raises(errors.Conflict, match="Then restart nova-compute there once"):
        site.reshape(Layout.COMPUTE_NODE)
    assert site.host().moving_to is None
    site.agent_round(Layout.COMPUTE_NODE)
    assert (tmp_path / "cyborg.yaml").exists()
    assert f"Restart nova-compute on {HOST} once" in caplog.text
    nova.start()
    site.agent_round()
    assert site.offered() == {GPUS[1], REGION}, "closed until the host has moved"
    site.reshape(Layout.COMPUTE_NODE)
    assert site.allocations(server)[site.root][CLASS] == 1
    site.agent_round()
    nova.refresh()
    assert site.offered("CUSTOM_GPU") == site.offered("CUSTOM_FPGA") == {site.root}
    shown = site.placement.inventories(site.root)[CLASS]
    assert shown["total"] - shown["reserved"] == 3


def test_typed_standard_classes_are_refused_on_novas_provider(managed: tuple[Site, NovaCompute]) -> None:
    site, _ = managed
    with pytest.raises(errors.Conflict, match=r"not FPGA, PGPU"):
        site.reshape(Layout.COMPUTE_NODE, Naming.TYPED)


def test_the_command_works_with_the_database_and_placement_alone(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = site.boot("CUSTOM_GPU")
    config = tmp_path / "cyborg.conf"
    config.write_text(
        f"[database]\nconnection = {site.cloud.store.engine.url}\n"
        f"[placement]\nauth_type = admin_token\nendpoint = {site.placement.url}\ntoken = admin\n"
    )
    command = ["--config-file", str(config), "placement", "reshape", "--to", "nested"]
    assert manage.main([*command, "--host", HOST, "--dry-run"]) == 0
    assert "Nothing was changed." in capsys.readouterr().out
    assert manage.main([*command, "--host", HOST]) == 0
    assert "1 allocation(s) moved" in capsys.readouterr().out
    assert site.providers_of(server) == {GPUS[0]}
    assert manage.main([*command, "--host", "compute-9"]) == 1
    assert "compute-9" in capsys.readouterr().err
    with contextlib.suppress(SystemExit):
        manage.main(["placement", "reshape"])
    assert "--host" in capsys.readouterr().err


def test_a_bind_names_the_part_that_was_claimed(site: Site) -> None:
    site.reshape(Layout.NESTED)
    site.agent_round()
    instance = site.claim(GPUS[1], 1)
    site.bind(instance, "CUSTOM_GPU", provider=GPUS[1])
    held = [device.address for device, _, unit in site.host().units() if unit.holder]
    assert held == ["0000:02:00.0"]
    with pytest.raises(errors.NoAccelerator):
        site.bind(str(uuid.uuid4()), "CUSTOM_GPU", provider=GPUS[1])
    with pytest.raises(errors.NoAccelerator):
        site.bind(str(uuid.uuid4()), "CUSTOM_GPU", provider=REGION)
    with pytest.raises(errors.NoAccelerator):
        site.bind(str(uuid.uuid4()), "CUSTOM_GPU", provider=site.root)
    with pytest.raises(errors.NotFound, match="the providers below"):
        site.bind(str(uuid.uuid4()), "CUSTOM_GPU", provider=str(uuid.uuid4()))
