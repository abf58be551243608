# SPDX-License-Identifier: Apache-2.0
"""[nova]: how Nova is told that an accelerator request is bound; plain keystoneauth options."""

from keystoneauth1 import loading
from oslo_config import cfg

GROUP = "nova"
SERVICE_TYPE = "compute"
READ_TIMEOUT = 30

OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "send_events",
        default=True,
        help="Tell Nova when a bind ends. Without credentials in this section nothing is sent; binds end all the same.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)
    loading.register_session_conf_options(conf, GROUP)
    loading.register_auth_conf_options(conf, GROUP)
    loading.register_adapter_conf_options(conf, GROUP)
    conf.set_default("service_type", SERVICE_TYPE, group=GROUP)
    conf.set_default("valid_interfaces", ["internal", "public"], group=GROUP)
    conf.set_default("timeout", READ_TIMEOUT, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    shared = [
        *loading.get_session_conf_options(),
        *loading.get_auth_common_conf_options(),
        *loading.get_auth_plugin_conf_options("v3password"),
        *loading.get_adapter_conf_options(),
    ]
    return [(GROUP, [*OPTS, *shared])]
