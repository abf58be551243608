# SPDX-License-Identifier: Apache-2.0
"""Bind, unbind and delete, through RPC, on a real database."""

import threading
import uuid

import pytest

from cyborg.domain import arq, errors, inventory, profile, report
from cyborg.store import hosts
from cyborg.tests.unit.conductor.conftest import NOVA, Cloud
from cyborg.tests.waiting import until

OTHER = "0c9ab9d7-7d64-4a3e-8a5e-6f1f5a1c9b22"


def card(address: str, kind: str) -> report.Device:
    part = report.Deployable(
        resource_class="PGPU",
        traits=frozenset({f"CUSTOM_{kind}"}),
        accelerators=(report.pci_accelerator("pf", address),),
    )
    return report.Device(
        address=address, type=report.DeviceType(kind), vendor="10de", model="26b9", deployables=(part,)
    )


GPU, FPGA = card("0000:01:00.0", "GPU"), card("0000:02:00.0", "FPGA")


def bound(cloud: Cloud, uuid: str) -> arq.Arq:
    request = cloud.get(uuid)
    assert request is not None
    return request


def test_a_bind_is_complete_when_it_is_answered(cloud: Cloud) -> None:
    cloud.host("host-1", GPU, FPGA)
    (uuid,) = cloud.request("CUSTOM_GPU")
    instance = cloud.bind([uuid])
    request = bound(cloud, uuid)
    assert (request.state, request.hostname, request.instance_uuid) == (arq.State.BOUND, "host-1", instance)
    assert request.attach_handle is not None
    assert request.attach_handle.info == {"domain": "0000", "bus": "01", "device": "00", "function": "0"}
    assert request.project_id == "p1", "the owner stays the owner, whoever binds"


def test_nova_is_told_once_per_request_and_the_work_is_gone(cloud: Cloud) -> None:
    cloud.host("host-1", GPU, FPGA)
    uuids = cloud.request(count=2)
    instance = cloud.bind(uuids)
    until("Nova is told", lambda: len(cloud.events.sent) == 2)
    assert {(one.arq_uuid, one.instance_uuid, one.completed) for one in cloud.events.sent} == {
        (one, instance, True) for one in uuids
    }
    assert cloud.events.calls == 1


def test_nova_that_is_down_is_told_later(cloud: Cloud) -> None:
    cloud.events.reset(failures=1)
    cloud.host("host-1", GPU)
    cloud.bind(cloud.request())
    until("Nova is told", lambda: len(cloud.events.sent) == 1)
    assert cloud.events.calls == 2


def test_the_agent_gets_the_view_without_the_taken_cards_traits(cloud: Cloud) -> None:
    first = cloud.host("host-1", GPU, FPGA)
    cloud.bind(cloud.request("CUSTOM_GPU"))
    sent = cloud.agent.views.get(timeout=10)
    assert sent.generation > first.generation
    assert sent.providers[0].traits == {"CUSTOM_FPGA"}
    assert sent.providers[0].withdrawn == {"CUSTOM_GPU"}


def test_a_bind_that_cannot_be_is_refused_and_changes_nothing(cloud: Cloud) -> None:
    cloud.host("host-1", GPU, FPGA)
    uuids = [*cloud.request("CUSTOM_GPU"), *cloud.request("CUSTOM_GPU")]
    with pytest.raises(errors.NoAccelerator, match="cannot serve 2"):
        cloud.bind(uuids)
    assert {bound(cloud, one).state for one in uuids} == {arq.State.INITIAL}
    cloud.bind(uuids[:1])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"host": "host-9"}, errors.NotFound),
        ({"provider": OTHER}, errors.NotFound),
    ],
)
def test_the_host_and_its_provider_must_fit(cloud: Cloud, changes: dict[str, str], error: type[Exception]) -> None:
    cloud.host("host-1", GPU)
    (uuid,) = cloud.request()
    with pytest.raises(error):
        cloud.bind([uuid], **changes)
    assert bound(cloud, uuid).state is arq.State.INITIAL


def test_a_request_for_a_bitstream_is_refused_and_never_bound_without_it(cloud: Cloud) -> None:
    cloud.host("host-1", GPU)
    group = profile.Group(resources={"CUSTOM_ACCELERATOR": 1}, accel={"bitstream_id": OTHER})
    (uuid,) = cloud.request(group=group)
    with pytest.raises(errors.Conflict, match="accel:bitstream_id"):
        cloud.bind([uuid])


def test_an_unknown_request_takes_its_neighbours_bind_down(cloud: Cloud) -> None:
    cloud.host("host-1", GPU, FPGA)
    (uuid,) = cloud.request()
    with pytest.raises(errors.NotFound, match="no accelerator request"):
        cloud.bind([uuid, OTHER])
    assert bound(cloud, uuid).state is arq.State.INITIAL


def test_the_same_bind_again_is_no_error_and_gives_no_second_card(cloud: Cloud) -> None:
    cloud.host("host-1", GPU, FPGA)
    uuids = cloud.request()
    instance = cloud.bind(uuids)
    first = bound(cloud, uuids[0])
    cloud.bind(uuids, instance=instance)
    assert bound(cloud, uuids[0]).attach_handle == first.attach_handle
    with pytest.raises(errors.WrongState):
        cloud.bind(uuids)


def test_an_instance_is_bound_in_one_call(cloud: Cloud) -> None:
    cloud.host("host-1", GPU, FPGA)
    instance = cloud.bind(cloud.request())
    with pytest.raises(errors.AlreadyBound):
        cloud.bind(cloud.request(), instance=instance)


def test_a_request_can_be_bound_again_after_unbinding(cloud: Cloud) -> None:
    cloud.host("host-1", GPU)
    uuids = cloud.request()
    instance = cloud.bind(uuids)
    cloud.client.unbind(NOVA, uuids)
    request = bound(cloud, uuids[0])
    assert (request.state, request.hostname, request.attach_handle) == (arq.State.UNBOUND, None, None)
    cloud.bind(uuids, instance=instance)
    assert bound(cloud, uuids[0]).state is arq.State.BOUND


def test_deleting_an_instances_requests_frees_its_cards_and_may_be_repeated(cloud: Cloud) -> None:
    cloud.host("host-1", GPU, FPGA)
    uuids = cloud.request(count=2)
    instance = cloud.bind(uuids)
    for _ in range(2):
        cloud.client.delete_for_instance(NOVA, instance)
    assert cloud.get(uuids[0]) is None
    cloud.bind(cloud.request(count=2))


def test_deleting_some_that_are_gone_deletes_the_others(cloud: Cloud) -> None:
    cloud.host("host-1", GPU)
    uuids = cloud.request()
    cloud.bind(uuids)
    cloud.client.delete_arqs(NOVA, [OTHER, *uuids])
    cloud.bind(cloud.request())


def test_a_disabled_device_is_not_bound_and_an_unknown_one_is_not_found(cloud: Cloud) -> None:
    cloud.host("host-1", GPU)
    with cloud.store.transaction() as tx:
        stored = hosts.load(tx, "host-1")
    assert stored is not None
    device = stored.devices[0].uuid
    cloud.client.set_device_status(NOVA, device, inventory.DeviceStatus.MAINTAINING)
    cloud.host("host-1", GPU)
    with pytest.raises(errors.NoAccelerator, match="1 disabled"):
        cloud.bind(cloud.request())
    cloud.client.set_device_status(NOVA, device, inventory.DeviceStatus.ENABLED)
    cloud.bind(cloud.request())
    with pytest.raises(errors.NotFound):
        cloud.client.set_device_status(NOVA, OTHER, inventory.DeviceStatus.ENABLED)


def test_of_many_binds_for_few_cards_exactly_as_many_win(cloud: Cloud) -> None:
    cards = [card(f"0000:{bus:02x}:00.0", "GPU") for bus in range(3)]
    cloud.host("host-1", *cards)
    outcomes: list[str] = []

    def attempt(uuid: str) -> None:
        try:
            cloud.bind([uuid])
            outcomes.append("bound")
        except errors.NoAccelerator:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt, args=(one,)) for one in cloud.request(count=8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["bound"] * 3 + ["refused"] * 5


def test_two_binders_of_one_request_give_it_one_card(cloud: Cloud) -> None:
    cloud.host("host-1", GPU, FPGA)
    (request,) = cloud.request()
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            cloud.bind([request], instance=str(uuid.uuid4()))
            outcomes.append("bound")
        except errors.WrongState:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["bound"] + ["refused"] * 3
    cloud.bind(cloud.request())
