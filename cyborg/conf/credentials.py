# SPDX-License-Identifier: Apache-2.0
"""Credentials for other services, from a section of their own or from the one that ``auth_section`` names."""

from typing import Any

from keystoneauth1 import loading
from oslo_config import cfg


def are_given(conf: cfg.ConfigOpts, group: str) -> bool:
    """Whether the group names any; they may be wrong all the same."""
    return bool(conf[group].auth_type or conf[group].auth_section)


def load(conf: cfg.ConfigOpts, group: str) -> Any:
    """keystoneauth's plugin for ``group``, None without an auth_type; raises keystoneauth's errors for half of one."""
    if conf[group].auth_section:
        # Such as [keystone_authtoken] or [service_user], which nobody may have registered in this process.
        loading.register_auth_conf_options(conf, conf[group].auth_section)
    return loading.load_auth_from_conf_options(conf, group)
