# SPDX-License-Identifier: Apache-2.0
"""A driver of somebody else's, with its moods, beside one of ours: what it does is its own affair."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cyborg.drivers import recorded
from cyborg.tests.functional import standalone
from cyborg.tests.functional.client import Client
from cyborg.tests.functional.standalone import Process
from cyborg.tests.waiting import until

DRIVER = """
import sys, time
from cyborg.domain import report

class MoodyDriver:
    option_group = None
    options = ()

    def __init__(self, options):
        pass

    def discover(self, host):
        mood = lambda: (host.proc("mood").text() or "").strip()
        while mood() == "hang":
            time.sleep(0.1)
        if mood() == "raise":
            raise RuntimeError("not today")
        if mood() == "exit":
            sys.exit("not today either")
        if mood() == "nonsense":
            return [42]
        if mood() == "nothing":
            return []
        unit = report.pci_accelerator("pf", "0000:aa:00.0")
        part = report.Deployable(resource_class="CUSTOM_SSD", traits=frozenset({"CUSTOM_MOODY"}), accelerators=(unit,))
        return [report.Device(address="0000:aa:00.0", type=report.DeviceType.SSD, vendor="abcd", model="1",
                              deployables=(part,))]
"""
OPTIONS = "[agent]\ndriver_timeout = 1\n"


class MoodyHost:
    """A directory with ``sys`` and ``proc``, of which both can be changed while an agent looks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mood = root / "proc" / "mood"
        self._mood.parent.mkdir(parents=True)
        self.cards = 1
        self.be("well")
        self.add_card()

    def be(self, mood: str) -> None:
        self._replace(self._mood, lambda path: path.write_text(mood, encoding="utf-8"))

    def add_card(self) -> None:
        self.cards += 1
        tree = self.root / f"tree-{self.cards}"
        recorded.materialise(standalone.gpu_host(self.root / f"{self.cards}.yaml", cards=self.cards), tree)
        self._replace(self.root / "sys", lambda path: path.symlink_to(tree / "sys"))

    def _replace(self, path: Path, make: Callable[[Path], object]) -> None:
        """At once: nobody sees half of it."""
        make(path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)


@pytest.fixture
def moody_host(tmp_path: Path) -> MoodyHost:
    return MoodyHost(tmp_path / "host")


@pytest.fixture
def process(tmp_path: Path, moody_host: MoodyHost) -> Iterator[Process]:
    """The service over that host, with the driver installed as any package would be."""
    package = tmp_path / "site" / "moody-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n", encoding="utf-8")
    points = "[cyborg.accelerator.driver]\nmoody_driver = moody:MoodyDriver\n"
    (package / "entry_points.txt").write_text(points, encoding="utf-8")
    (tmp_path / "site" / "moody.py").write_text(DRIVER, encoding="utf-8")
    options = tmp_path / "cyborg.conf"
    options.write_text(OPTIONS, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    arguments = [f"--config-file={options}", f"--drivers=moody_driver,{standalone.GPU_DRIVER}", "--interval=1"]
    arguments.append(f"--simulated-host=moody={moody_host.root}")
    with Process(tmp_path / "state", *arguments, environment={"PYTHONPATH": path}) as running:
        yield running


def test_a_driver_that_fails_in_any_way_keeps_its_devices_and_leaves_others_and_the_service_alone(
    process: Process, moody_host: MoodyHost
) -> None:
    with Client(process.wait_ready()) as client:

        def of(kind: str) -> set[str]:
            return {one["uuid"] for one in client.list("devices") if one["type"] == kind}

        def all_cards_are_known() -> bool:
            return len(of("GPU")) == moody_host.cards

        assert all_cards_are_known()
        (moody,) = of("SSD")
        for mood in ("raise", "nonsense", "exit", "hang"):
            before = of("GPU")
            moody_host.be(mood)
            moody_host.add_card()
            until(f"a new card is found in mood {mood}", all_cards_are_known)
            assert before < of("GPU")
            assert of("SSD") == {moody}
        gpus = of("GPU")
        moody_host.be("nothing")
        until("a device that is gone is gone", lambda: not of("SSD"))
        assert of("GPU") == gpus
        assert "CUSTOM_MOODY" not in standalone.shown(client, "moody").traits
        moody_host.be("well")
        until("it is back", lambda: len(of("SSD")) == 1)
        assert of("GPU") == gpus
        moody_host.be("hang")
        until("it hangs again", lambda: "no answer within 1 seconds" in process.output)
    assert process.stop() == 0, "a driver that hangs keeps the service from stopping"
