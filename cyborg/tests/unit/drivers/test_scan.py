# SPDX-License-Identifier: Apache-2.0
"""One driver's trouble stays its own."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from cyborg.domain import errors, report
from cyborg.drivers.host import Host
from cyborg.drivers.loader import LoadedDriver
from cyborg.drivers.scan import Scanner, ScanResult


class Stub:
    """A driver that does what it is told."""

    option_group: str | None = None
    options: Sequence[cfg.Opt] = ()

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.starts = 0

    def discover(self, host: Host) -> Iterable[report.Device]:
        self.starts += 1
        found: Iterable[report.Device] = self.act()
        return found


def _device(address: str = "0000:3b:00.0", **changes: Any) -> report.Device:
    return report.Device(
        **{"type": report.DeviceType.PCI, "vendor": "1d0f", "model": "f010", "deployables": (), "address": address}
        | changes
    )


def _scanner(timeout: float = 5, **stubs: Stub) -> Scanner:
    host = Host(sysfs=Path("/nowhere"))
    return Scanner([LoadedDriver(name=name, driver=stub) for name, stub in stubs.items()], host, timeout=timeout)


def _raise(exc: BaseException) -> Any:
    raise exc


def _half() -> Iterator[report.Device]:
    yield _device("0000:01:00.0")
    raise OSError("the card fell off")


GOOD = _device("0000:aa:00.0")


def test_each_driver_has_one_result_in_order_and_empty_is_a_result() -> None:
    scanner = _scanner(b=Stub(list), a=Stub(lambda: iter([GOOD])))
    assert scanner.scan() == [ScanResult(driver="b", devices=()), ScanResult(driver="a", devices=(GOOD,))]


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda: _raise(RuntimeError("broken")), "RuntimeError: broken"),
        (lambda: _raise(errors.HostUnreadable("no sysfs")), "no sysfs"),
        (lambda: _raise(SystemExit(3)), "its thread ended without a result"),
        (_half, "OSError: the card fell off"),
        (lambda: None, "TypeError: 'NoneType' object is not iterable"),
        (lambda: ["0000:3b:00.0"], "TypeError: discover yielded str, not a Device"),
        (lambda: [_device(facts={"x": object()})], "TypeError: object has no wire form"),
        (lambda: [_device(vendor=4318)], "not a Device: expected str, got 4318"),
        (lambda: [_device(), _device()], "ValueError: discover yielded 0000:3b:00.0 more than once"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_driver_that_fails_has_no_result_and_its_neighbour_has(act: Callable[[], Any], error: str) -> None:
    bad, good = _scanner(bad=Stub(act), good=Stub(lambda: [GOOD])).scan()
    assert (bad.devices, bad.error) == (None, error)
    assert good.devices == (GOOD,)


def test_a_driver_that_hangs_is_not_started_again_until_it_came_back() -> None:
    release = threading.Event()
    stub = Stub(lambda: [GOOD] if release.wait(10) else [])
    scanner = _scanner(timeout=0.05, slow=stub, good=Stub(list))

    first, second = scanner.scan(), scanner.scan()
    assert [result.error for result in first] == ["no answer within 0.05 seconds", None]
    assert [result.error for result in second] == ["an earlier look has not come back yet", None]
    assert stub.starts == 1

    release.set()
    scanner._lanes[0]._thread.join()  # type: ignore[union-attr]
    assert scanner.scan()[0].devices == (GOOD,)
    assert stub.starts == 2


def test_a_failure_is_logged_when_it_starts_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stub = Stub(lambda: _raise(RuntimeError("broken")))
    scanner = _scanner(bad=stub)
    scanner.scan()
    scanner.scan()
    stub.act = list
    scanner.scan()
    scanner.scan()
    assert [(record.levelname, bool(record.exc_info)) for record in caplog.records] == [
        ("ERROR", True),
        ("INFO", False),
    ]


def test_a_card_that_two_drivers_offer_stays_with_the_one_enabled_first(caplog: pytest.LogCaptureFixture) -> None:
    moved = _device("0000:bb:00.0", serial="S1")
    scanner = _scanner(
        first=Stub(lambda: [_device(), _device("0000:cc:00.0", serial="S1")]),
        second=Stub(lambda: [_device(), moved, GOOD]),
    )
    for _ in range(2):
        first, second = scanner.scan()
        assert first.devices is not None
        assert len(first.devices) == 2
        assert second.devices == (GOOD,)
    assert len([record for record in caplog.records if "offers" in record.message]) == 2


def test_a_card_stays_with_its_driver_while_that_cannot_look() -> None:
    stub = Stub(lambda: [_device()])
    scanner = _scanner(first=stub, second=Stub(lambda: [_device()]))
    scanner.scan()
    stub.act = lambda: _raise(RuntimeError("broken"))
    assert [result.devices for result in scanner.scan()] == [None, ()]
    stub.act = list
    assert [result.devices for result in scanner.scan()] == [(), (_device(),)]


def test_what_a_program_of_the_host_drives_is_offered_by_no_driver() -> None:
    target = _device("/run/spdk.sock", facts={"drives": ["0000:5e:00.0", "0000:5f:00.1"]})
    part = report.Deployable(
        resource_class="CUSTOM_SSD",
        accelerators=tuple(report.pci_accelerator(f"vf{n}", f"0000:5f:00.{n + 1}") for n in range(2)),
    )
    disks = [_device("0000:5e:00.0"), _device("0000:5f:00.0", deployables=(part,)), _device(facts={"drives": 7})]
    stub = Stub(lambda: [target])
    scanner = _scanner(disks=Stub(lambda: disks), programs=stub)

    def left() -> list[tuple[str, list[str]]]:
        found = scanner.scan()[0].devices or ()
        return [(one.address, [unit.key for _, part in one.walk() for unit in part.accelerators]) for one in found]

    expected = [("0000:5f:00.0", ["vf1"]), ("0000:3b:00.0", [])]
    assert left() == expected
    stub.act = lambda: _raise(RuntimeError("broken"))
    assert left() == expected
    stub.act = list
    assert left() == [("0000:5e:00.0", []), ("0000:5f:00.0", ["vf0", "vf1"]), ("0000:3b:00.0", [])]
