# SPDX-License-Identifier: Apache-2.0
"""A tree that was used is as good as a new one, whatever was done to it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cyborg.drivers import recorded
from cyborg.drivers.conformance.trees import Stock
from cyborg.tests.unit.drivers.conformance.test_conformance import LAMPS

FEWER = {address: LAMPS[address] for address in sorted(LAMPS)[1:]}
CARD = "sys/bus/pci/devices/0000:3b:00.0"


def card(root: Path) -> Path:
    return (root / CARD).resolve()


def rename_a_file(root: Path) -> None:
    (card(root) / "vendor").rename(card(root) / "vendor2")


def put_a_link_in_place_of_the_card(root: Path) -> None:
    place = card(root)
    shutil.rmtree(place)
    place.symlink_to(place.parent)


def put_a_directory_in_place_of_a_file(root: Path) -> None:
    (card(root) / "vendor").unlink()
    (card(root) / "vendor" / "inner").mkdir(parents=True)


def turn_a_link(root: Path) -> None:
    (root / CARD).unlink()
    (root / CARD).symlink_to("nowhere")


def add_much(root: Path) -> None:
    (root / "run" / "deep" / "deeper").mkdir(parents=True)
    (root / "run" / "deep" / "file").write_text("1")
    (card(root) / "more").symlink_to("vendor")


DAMAGES: list[Callable[[Path], object]] = [
    lambda _root: None,
    lambda root: (card(root) / "vendor").write_text("0x1234\n"),
    lambda root: (card(root) / "vendor").unlink(),
    lambda root: (card(root) / "vendor").chmod(0),
    lambda root: card(root).chmod(0o500),
    lambda root: shutil.rmtree(card(root)),
    lambda root: shutil.rmtree(root / "sys"),
    rename_a_file,
    put_a_link_in_place_of_the_card,
    put_a_directory_in_place_of_a_file,
    turn_a_link,
    add_much,
]


def everything(root: Path) -> dict[str, tuple[int, str | bytes | None]]:
    """Mode and content by path, as far as a driver could see it."""
    return {str(path.relative_to(root)): (path.lstat().st_mode, _content(path)) for path in sorted(root.rglob("*"))}


def _content(path: Path) -> str | bytes | None:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else None


@pytest.mark.parametrize("then", [LAMPS, FEWER], ids=["the same host", "another host"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_tree_is_put_right_for_whoever_gets_it_next(
    tmp_path: Path, damage: Callable[[Path], object], then: dict[str, object]
) -> None:
    first, second = recorded.contents({"pci": LAMPS}), recorded.contents({"pci": then})
    stock = Stock(tmp_path / "used")
    with stock.lend("lamps", first) as root:
        damage(root)
    with stock.lend("lamps", second) as again, Stock(tmp_path / "new").lend("lamps", second) as new:
        assert again == root
        assert everything(again) == everything(new)


def test_a_tree_that_somebody_may_still_write_to_does_not_come_back(tmp_path: Path) -> None:
    stock = Stock(tmp_path)
    contents = recorded.contents({"pci": LAMPS})
    with stock.lend("lamps", contents) as root:
        stock.abandon()
    with stock.lend("lamps", contents) as another:
        assert another != root
