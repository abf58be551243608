# SPDX-License-Identifier: Apache-2.0
"""``openstack accelerator device set``: disable and enable with a look at what it does."""

import argparse
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from cyborg.osc import calls, columns, plugin

COLLECTION = "devices"
SHOWN = ("uuid", "hostname", "type", "vendor", "model", "status", "health", "generation")
EFFECT = ("status", "before", "after", "holders", "refused")


class SetDevice(command.ShowOne):
    """Take a device out of scheduling, or offer it again. What is held of it stays held."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("device", metavar="<uuid>", help="The device")
        verb = parser.add_mutually_exclusive_group(required=True)
        verb.add_argument("--enable", dest="verb", action="store_const", const="enable", help="Offer the device again")
        verb.add_argument(
            "--disable", dest="verb", action="store_const", const="disable", help="Take the device out of scheduling"
        )
        parser.add_argument("--drain", action="store_true", help="Disable it although somebody holds something of it")
        parser.add_argument("--dry-run", action="store_true", help="Change nothing; show what would happen")
        parser.add_argument(
            "--generation", metavar="<number>", type=int, help="Only if the device still has this generation"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        if parsed_args.drain and parsed_args.verb == "enable":
            raise exceptions.CommandError("--drain goes with --disable.")
        client = getattr(self.app.client_manager, plugin.API_NAME)
        device = f"{COLLECTION}/{parsed_args.device}"
        asked = {"drain": parsed_args.drain or None, "dry_run": parsed_args.dry_run or None}
        asked["generation"] = parsed_args.generation
        effect = calls.told(client, f"{device}/{parsed_args.verb}", calls.OPERATIONS, asked)
        if effect is not None:
            return EFFECT, columns.row(effect, EFFECT)
        return SHOWN, columns.row(calls.shown(client, device, calls.OPERATIONS), SHOWN)
