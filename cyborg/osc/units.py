# SPDX-License-Identifier: Apache-2.0
"""``openstack accelerator unit``: what one accelerator request holds."""

import argparse
from typing import Any

from osc_lib.command import command

from cyborg.osc import calls, columns, plugin

COLLECTION = "accelerators"
LISTED = ("uuid", "hostname", "state", "attach_handle_type", "attach_handle_info", "holder")
LONG = (*LISTED, "fault", "key", "device_uuid", "deployable_uuid")
SHOWN = (*LONG, "created_at", "updated_at")


class ListUnit(command.Lister):
    """List the units that accelerator requests can hold, and, for administrators, who holds them."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--host", metavar="<name>", help="Only units of this host")
        parser.add_argument("--device", metavar="<uuid>", help="Only units of this device")
        parser.add_argument("--deployable", metavar="<uuid>", help="Only units of this deployable")
        parser.add_argument("--state", metavar="<state>", help="Only units in this state, such as free or held")
        parser.add_argument("--long", action="store_true", help="List additional fields")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        client = getattr(self.app.client_manager, plugin.API_NAME)
        query = {
            "hostname": parsed_args.host,
            "device_uuid": parsed_args.device,
            "deployable_uuid": parsed_args.deployable,
            "state": parsed_args.state,
        }
        found = calls.listed(client, COLLECTION, calls.OPERATIONS, query)
        chosen = LONG if parsed_args.long else LISTED
        return chosen, [columns.row(one, chosen) for one in found]


class ShowUnit(command.ShowOne):
    """Show a unit."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("unit", metavar="<uuid>", help="The unit")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        client = getattr(self.app.client_manager, plugin.API_NAME)
        return SHOWN, columns.row(calls.shown(client, f"{COLLECTION}/{parsed_args.unit}", calls.OPERATIONS), SHOWN)
