# SPDX-License-Identifier: Apache-2.0
"""What oslo-config-generator asks: our options by group, those of the enabled drivers' families included."""

from oslo_config import cfg

from cyborg import conf as groups


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [pair for group in groups.GROUPS for pair in group.list_opts()]


def set_defaults() -> None:
    """The defaults that we change in options of libraries, so that the sample shows them."""
    groups.new_config()
