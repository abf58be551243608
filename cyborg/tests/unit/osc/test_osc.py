# SPDX-License-Identifier: Apache-2.0
"""What the commands ask for and how they show it; a service answers them in the functional tests."""

import argparse
import json
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import requests
from osc_lib.cli import format_columns

from cyborg.osc import calls, columns, hosts, plugin

GROUP = f"openstack.{plugin.API_NAME}.v{plugin.DEFAULT_API_VERSION}"


class Pages:
    """A service with five hosts, two on a page."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    def get(self, _path: str, *, params: Mapping[str, Any], microversion: str) -> requests.Response:
        self.asked.append(params)
        start = int(params.get("marker", 0))
        body: dict[str, Any] = {"hosts": [{"name": str(number)} for number in range(start, min(start + 2, 5))]}
        if start + 2 < 5:
            href = f"http://elsewhere/v2/hosts?status=enabled&marker={start + 2}"
            body["hosts_links"] = [{"rel": "next", "href": href}]
        return answer(200, body)


def answer(status: int, body: Any) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made.headers["Content-Type"] = "application/json"
    made._content = json.dumps(body).encode()
    made.url = "http://cloud/v2/hosts"
    return made


def test_a_list_is_read_to_its_end_and_arguments_that_are_not_given_are_not_sent() -> None:
    service = Pages()
    found = list(calls.listed(service, "hosts", calls.OPERATIONS, {"status": "enabled", "name": None}))
    assert [one["name"] for one in found] == ["0", "1", "2", "3", "4"]
    follow = [{"status": "enabled", "marker": marker} for marker in ("2", "4")]
    assert service.asked == [{"status": "enabled"}, *follow]


def test_a_row_has_each_column_in_its_order_and_nothing_for_what_is_not_there() -> None:
    found = {"a": 1, "object": {"x": 1}, "texts": ["p", "q"], "objects": [{"y": 2}]}
    row = columns.row(found, ("object", "missing", "a", "texts", "objects"))
    assert row[1:3] == (None, 1)
    kinds = (format_columns.DictColumn, format_columns.ListColumn, format_columns.ListDictColumn)
    assert tuple(type(row[index]) for index in (0, 3, 4)) == kinds
    assert row[0].machine_readable() == {"x": 1}


def test_numbers_are_read_without_zeros_and_kept_with_them() -> None:
    numbers, drift = {"free": 0, "held": 2, "failed": 1}, {"number": 0, "looked_at": "2026-01-01T00:00:00+00:00"}
    row = columns.row(
        {"accelerators": numbers, "before": {"free": 0}, "drift": drift}, ("accelerators", "before", "drift")
    )
    assert [cell.human_readable() for cell in row] == ["2 held, 1 failed", "none", "0 at 2026-01-01T00:00:00+00:00"]
    assert [cell.machine_readable() for cell in row] == [numbers, {"free": 0}, drift]


def test_what_differs_on_a_host_is_shown_beside_how_much_does() -> None:
    differences = [{"kind": "trait_missing", "subject": "host/CUSTOM_GPU", "text": "not shown"}]
    drift = {"number": 3, "looked_at": "2026-01-01T00:00:00+00:00"}
    found = hosts._with_differences({"name": "host", "drift": {**drift, "differences": differences}})
    assert (found["drift"], found["differences"]) == (drift, differences)
    for nothing in ({"name": "host", "drift": None}, {"name": "host"}):
        found = hosts._with_differences(nothing)
        assert (found["drift"], found["differences"]) == (None, None)


def test_no_command_hides_one_of_another_plugin() -> None:
    ours = {point.name for point in metadata.entry_points(group=GROUP)}
    others = {point.name for point in metadata.entry_points(group="openstack.accelerator.v2")}
    assert ours
    assert not ours & others


def test_every_command_loads_and_explains_itself() -> None:
    application = argparse.Namespace(command_manager=argparse.Namespace(namespace="none"))
    for point in metadata.entry_points(group=GROUP):
        made = point.load()(application, argparse.Namespace(), cmd_name=point.name)
        parser = made.get_parser(point.name)
        assert made.get_description()
        assert all(action.help for action in parser._actions), point.name


def test_the_plugin_has_what_openstack_looks_for() -> None:
    (found,) = [
        point.load()
        for point in metadata.entry_points(group="openstack.cli.extension")
        if point.value.startswith("cyborg.")
    ]
    assert found is plugin
    parser = argparse.ArgumentParser()
    assert plugin.build_option_parser(parser) is parser
    assert plugin.check_api_version("2")
