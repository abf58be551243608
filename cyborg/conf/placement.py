# SPDX-License-Identifier: Apache-2.0
"""[placement]: where Placement is and how our inventory is shown in it; the rest is plain keystoneauth options."""

from keystoneauth1 import loading
from oslo_config import cfg

from cyborg.domain.shape import Layout, Naming

GROUP = "placement"
SERVICE_TYPE = "placement"
READ_TIMEOUT = 30

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "provider_layout",
        default=Layout.COMPUTE_NODE,
        choices=[
            (str(Layout.COMPUTE_NODE), "the compute node's provider carries the classes and traits of its devices"),
            (str(Layout.NESTED), "a provider for each deployable, below the compute node's"),
        ],
        help=(
            "Which resource providers carry the inventory of this host. A host whose accelerators are in use keeps the "
            "layout that it has, until it is moved with 'cyborg-manage placement reshape'."
        ),
    ),
    cfg.StrOpt(
        "resource_class_naming",
        default=Naming.GENERIC,
        choices=[
            (str(Naming.GENERIC), "CUSTOM_ACCELERATOR for every accelerator; traits say which kind it is"),
            (
                str(Naming.COUNTED),
                "CUSTOM_ACCELERATOR for all, and CUSTOM_ACCELERATOR_GPU and so on beside it count those of a kind",
            ),
            (str(Naming.TYPED), "the class that its driver names: FPGA, PGPU, VGPU, CUSTOM_QAT, ..."),
        ],
        help=(
            "Classes under which the accelerators of this host are shown. Where nova-compute manages the provider, "
            "typed classes need the nested layout. Like the layout, it stays while accelerators are in use."
        ),
    ),
    cfg.IntOpt(
        "provider_grace_time",
        default=3600,
        min=-1,
        help=(
            "Seconds for which the provider of a deployable that is gone stays in Placement, without inventory, before "
            "it is deleted; -1 keeps it. After a provider is deleted, nova-compute builds no server on its host "
            "until it has refreshed its picture of the tree, [compute] resource_provider_association_refresh at most."
        ),
    ),
    cfg.StrOpt(
        "inventory_owner",
        default="auto",
        choices=[
            ("auto", "Nova where nova-compute manages the provider (a COMPUTE_* or OWNER_NOVA trait), else the agent"),
            ("nova", "always Nova, by way of the provider config file; right on every host that runs nova-compute"),
            ("cyborg", "the agent; refused, with an error in the log, where nova-compute manages the provider"),
        ],
        help=(
            "Who writes our inventory on the provider. Inventory that is written behind the back of nova-compute is "
            "deleted by it, or stops it from building servers, so that is never done whatever is set here."
        ),
    ),
    cfg.StrOpt(
        "nova_provider_config",
        default="/etc/nova/provider_config/cyborg.yaml",
        help=(
            "The provider config file that the agent writes for nova-compute of the same host; it has to lie in "
            "nova-compute's [compute] provider_config_location. The agent must be allowed to write in that directory."
        ),
    ),
    cfg.IntOpt(
        "nova_inventory_headroom",
        default=64,
        min=0,
        help=(
            "How many accelerators more than the host has now the provider config file allows for. Within it cards "
            "may be added without restarting nova-compute again."
        ),
    ),
    cfg.IntOpt("connect_timeout", default=5, min=1, help="Seconds to wait for a connection to Placement."),
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
    shared = loading.get_session_conf_options() + loading.get_auth_common_conf_options()
    auth = loading.get_auth_plugin_conf_options("v3password")
    return [(GROUP, [*OPTS, *shared, *loading.get_adapter_conf_options(), *auth])]
