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
        "health_clean_looks",
        default=3,
        min=1,
        help="Reports in a row that must find a device working, after it had failed, before it takes new work again.",
    ),
    cfg.IntOpt(
        "health_failures",
        default=3,
        min=0,
        help="A device that fails so often within health_window takes no new work until an operator enables it; "
        "with 0 none is kept out.",
    ),
    cfg.IntOpt("health_window", default=3600, min=1, help="Seconds within which the failures of a device are counted."),
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
        "operation_workers",
        default=8,
        min=1,
        help="Threads of one process that work on operations. At most two of them work for one host at a time, so one "
        "that does not answer keeps nobody else waiting.",
    ),
    cfg.IntOpt(
        "operation_retention",
        default=7 * 24 * 3600,
        min=0,
        help="Seconds for which an operation that was given up is kept, for administrators to read.",
    ),
    cfg.IntOpt(
        "bind_wait",
        default=20,
        min=0,
        help="Seconds for which a bind waits until hosts have prepared its accelerators; after that it is answered and "
        "goes on. Keep it below [DEFAULT] bind_timeout. A bind that needs no preparation waits for nobody.",
    ),
    cfg.IntOpt(
        "bind_failure_delay",
        default=15,
        min=0,
        help="Seconds after such an answer before which a failure is not shown and the host is asked again: Nova takes "
        "a request that has failed when it looks first for one that is ready.",
    ),
    cfg.IntOpt(
        "prepare_deadline",
        default=240,
        min=1,
        help="Seconds after which a bind whose host does not answer has failed. Keep it below arq_binding_timeout of "
        "Nova, which is 300 by default.",
    ),
    cfg.IntOpt(
        "cleaning_attempts",
        default=3,
        min=1,
        help="Times that a host may say that it cannot clean an accelerator before that goes into quarantine, until an "
        "operator enables its device. A host that does not answer is asked for ever.",
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
