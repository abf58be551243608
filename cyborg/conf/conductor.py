# SPDX-License-Identifier: Apache-2.0
"""[conductor]: decisions and durable work."""

from oslo_config import cfg

GROUP = "conductor"

OPTS: list[cfg.Opt] = [
    cfg.IntOpt("workers", default=1, min=1, help="Conductor processes on this host."),
    cfg.IntOpt(
        "absence_limit",
        default=3,
        min=1,
        help="Complete reports in a row that must lack a device before it counts as gone. "
        "It takes no new work from the first one on.",
    ),
    cfg.IntOpt(
        "operation_interval",
        default=10,
        min=1,
        help="Seconds between two looks for work that another conductor left behind or that has to be tried again.",
    ),
    cfg.IntOpt(
        "operation_lease",
        default=30,
        min=5,
        help="Seconds for which a conductor owns a piece of work; after a crash another one takes it over then.",
    ),
    cfg.IntOpt(
        "event_deadline",
        default=600,
        min=10,
        help="Seconds for which an event is offered to Nova before it is given up. "
        "Nova itself waits for 300 by default.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(GROUP, OPTS)]
