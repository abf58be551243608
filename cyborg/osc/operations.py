# SPDX-License-Identifier: Apache-2.0
"""``openstack accelerator operation``: work that is still to do, and what was given up."""

import argparse
from typing import Any

from osc_lib.command import command

from cyborg.osc import calls, columns, plugin

COLLECTION = "operations"
LISTED = ("uuid", "kind", "state", "hostname", "subject", "attempts", "last_error")
LONG = (*LISTED, "next_at", "deadline", "ended_at", "created_at", "updated_at")


class ListOperation(command.Lister):
    """List what the service still has to do, such as telling Nova or cleaning a card, and what it gave up."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--kind", metavar="<kind>", help="Only operations of this kind, such as nova_events")
        parser.add_argument("--host", metavar="<name>", help="Only operations on this host")
        parser.add_argument(
            "--subject", metavar="<uuid>", help="Only operations about this server, request or accelerator"
        )
        parser.add_argument(
            "--state",
            choices=("due", "running", "waiting", "failed"),
            help="Only operations in this state; failed ones were given up",
        )
        parser.add_argument("--long", action="store_true", help="List additional fields")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        client = getattr(self.app.client_manager, plugin.API_NAME)
        query = {
            "kind": parsed_args.kind,
            "hostname": parsed_args.host,
            "subject": parsed_args.subject,
            "state": parsed_args.state,
        }
        found = calls.listed(client, COLLECTION, calls.OPERATIONS, query)
        chosen = LONG if parsed_args.long else LISTED
        return chosen, [columns.row(one, chosen) for one in found]


class ShowOperation(command.ShowOne):
    """Show an operation."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("operation", metavar="<uuid>", help="The operation")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        client = getattr(self.app.client_manager, plugin.API_NAME)
        return LONG, columns.row(calls.shown(client, f"{COLLECTION}/{parsed_args.operation}", calls.OPERATIONS), LONG)
