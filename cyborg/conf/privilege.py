# SPDX-License-Identifier: Apache-2.0
"""[cyborg_sys_admin]: how an agent that is an ordinary user has kernel files written; see `drivers.privileged`."""

from oslo_config import cfg

GROUP = "cyborg_sys_admin"

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "helper_command",
        default="sudo privsep-helper",
        help="Command that starts the processes which write kernel files for the agent and give commands to hardware. "
        "It must run as root, and as nothing else: sudo is to allow the agent's user this very command. An agent that "
        "runs as root needs none.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(GROUP, OPTS)]
