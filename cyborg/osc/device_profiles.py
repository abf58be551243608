# SPDX-License-Identifier: Apache-2.0
"""``openstack accelerator device profile set``: change what a name stands for."""

import argparse
from typing import Any

from osc_lib import exceptions
from osc_lib.cli import parseractions
from osc_lib.command import command

from cyborg.osc import calls, columns, plugin

COLLECTION = "device_profiles"
SHOWN = (
    "uuid",
    "name",
    "description",
    "groups",
    "visibility",
    "projects",
    "generation",
    "created_at",
    "updated_at",
)


class SetDeviceProfile(command.ShowOne):
    """Change a device profile. Requests that exist keep what it said when they were made."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("profile", metavar="<profile>", help="Name or uuid of the device profile")
        parser.add_argument("--description", metavar="<text>", help="The new description")
        parser.add_argument(
            "--group",
            dest="groups",
            metavar="<key>=<value>,...",
            action=parseractions.MultiKeyValueAction,
            help="A group, such as resources:PGPU=1,trait:CUSTOM_GPU=required; the old ones all go; may be repeated",
        )
        visibility = parser.add_mutually_exclusive_group()
        visibility.add_argument(
            "--public", dest="visibility", action="store_const", const="public", help="Let every project use it"
        )
        visibility.add_argument(
            "--private", dest="visibility", action="store_const", const="private", help="Let only --project use it"
        )
        parser.add_argument(
            "--project",
            dest="projects",
            metavar="<id>",
            action="append",
            help="A project that may use the private profile; the old ones all go; may be repeated",
        )
        parser.add_argument(
            "--generation", metavar="<number>", type=int, help="Only if the profile still has this generation"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        wanted = {name: getattr(parsed_args, name) for name in ("description", "groups", "visibility", "projects")}
        change = {name: value for name, value in wanted.items() if value is not None}
        if not change:
            raise exceptions.CommandError("Say what to change: --description, --group, --public, --private, --project.")
        client = getattr(self.app.client_manager, plugin.API_NAME)
        generation = parsed_args.generation
        headers = {} if generation is None else {"If-Match": f'"{generation}"'}
        found = calls.changed(client, f"{COLLECTION}/{parsed_args.profile}", calls.PROFILE_UPDATE, change, headers)
        return SHOWN, columns.row(found, SHOWN)
