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
    cfg.IntOpt(
        "audit_interval",
        default=3600,
        min=0,
        help="Seconds between two comparisons of the database with Placement, by one of the conductors; 0 makes none. "
        "It only tells, see 'cyborg-manage audit' for more, and needs credentials in [placement].",
    ),
    cfg.IntOpt(
        "audit_grace",
        default=600,
        min=0,
        help="Seconds for which a bound request may be without an allocation of its server before an audit says so.",
    ),
    cfg.IntOpt(
        "arq_expiry",
        default=24 * 3600,
        min=0,
        help="Seconds after which an accelerator request that is not bound is deleted; 0 keeps it.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(GROUP, OPTS)]
