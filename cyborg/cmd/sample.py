# SPDX-License-Identifier: Apache-2.0
"""What oslo-config-generator asks: every option by group, those of the installed drivers included."""

from oslo_config import cfg

from cyborg import conf as configuration
from cyborg.drivers import loader


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    ours = [pair for group in configuration.GROUPS for pair in group.list_opts()]
    return ours + loader.list_opts()


def set_defaults() -> None:
    """Set the defaults that we change in options of libraries, so that the sample shows them."""
    configuration.new_config()
