# SPDX-License-Identifier: Apache-2.0
"""What ``openstack`` looks for in a plugin.

The commands are a group of their own, so that they are there beside the stock client's commands as well as beside
those of python-cyborgclient, and hide none of them.
"""

import argparse
from typing import Any

API_NAME = "accelerator_operator"
API_VERSION_OPTION = "os_accelerator_operator_api_version"
DEFAULT_API_VERSION = "2"
API_VERSIONS = (DEFAULT_API_VERSION,)


def make_client(manager: Any) -> Any:
    """The accelerator service, as openstacksdk reaches it."""
    return manager.sdk_connection.accelerator


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """No options: every command asks for the version that it needs."""
    return parser


def check_api_version(_version: str) -> bool:
    """The service says itself what it speaks."""
    return True
