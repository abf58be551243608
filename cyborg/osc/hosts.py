# SPDX-License-Identifier: Apache-2.0
"""``openstack accelerator host``: the compute nodes on which agents run."""

import argparse
from typing import Any

from osc_lib.command import command

from cyborg.osc import calls, columns, plugin

COLLECTION = "hosts"
LISTED = ("uuid", "name", "status", "agent_state", "seen_at", "accelerators", "drift")
LONG = (*LISTED, "rp_uuid", "provider_layout", "resource_class_naming", "drivers")
SHOWN = (*LONG, "differences", "created_at", "updated_at")


class ListHost(command.Lister):
    """List hosts, how many of their accelerators are in which state, and how far they are from Placement."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--name", metavar="<name>", help="Only the host of this name")
        parser.add_argument("--status", choices=("enabled", "disabled"), help="Only hosts with this status")
        parser.add_argument("--long", action="store_true", help="List additional fields")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        client = getattr(self.app.client_manager, plugin.API_NAME)
        query = {"name": parsed_args.name, "status": parsed_args.status}
        found = calls.listed(client, COLLECTION, calls.OPERATIONS, query)
        chosen = LONG if parsed_args.long else LISTED
        return chosen, [columns.row(one, chosen) for one in found]


class ShowHost(command.ShowOne):
    """Show a host."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="<host>", help="Name or uuid of the host")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        client = getattr(self.app.client_manager, plugin.API_NAME)
        found = calls.shown(client, f"{COLLECTION}/{parsed_args.host}", calls.OPERATIONS)
        return SHOWN, columns.row(_with_differences(found), SHOWN)


def _with_differences(found: calls.Found) -> calls.Found:
    """What differs from Placement, beside how much does."""
    drift = dict(found.get("drift") or {})
    differences = drift.pop("differences", None)
    return {**found, "drift": drift or None, "differences": differences}


class SetHost(command.Command):
    """Take a host out of scheduling, or offer it again. What is held on it stays held."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="<host>", help="Name or uuid of the host")
        verb = parser.add_mutually_exclusive_group(required=True)
        verb.add_argument("--enable", dest="verb", action="store_const", const="enable", help="Offer the host again")
        verb.add_argument(
            "--disable", dest="verb", action="store_const", const="disable", help="Take the host out of scheduling"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        client = getattr(self.app.client_manager, plugin.API_NAME)
        calls.told(client, f"{COLLECTION}/{parsed_args.host}/{parsed_args.verb}", calls.OPERATIONS)
