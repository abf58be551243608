# SPDX-License-Identifier: Apache-2.0
"""[agent]: what one host looks for and how it reports."""

from oslo_config import cfg

GROUP = "agent"

OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "enabled_drivers",
        default=["fake_driver"],
        help="Drivers that look for devices here, by their names in the entry point group cyborg.accelerator.driver.",
    ),
    cfg.StrOpt(
        "resource_provider_name",
        sample_default="<the fully qualified host name, or [DEFAULT] host>",
        help=(
            "Name of this host: the name of its compute-node resource provider in Placement, which is the hypervisor "
            "hostname that Nova shows. Not set: the fully qualified name of the host if Placement has a provider of "
            "that name, else [DEFAULT] host if it has one of that; the agent waits until there is one."
        ),
    ),
    cfg.IntOpt(
        "resource_provider_startup_retries",
        default=3,
        min=0,
        deprecated_for_removal=True,
        deprecated_reason="The agent starts without its provider and looks for it with every report until it is there.",
        help="Has no effect any more.",
    ),
    cfg.IntOpt(
        "driver_timeout",
        default=30,
        min=1,
        help="Seconds that one driver's scan may take; a slower one has failed and changes nothing.",
    ),
    cfg.FloatOpt(
        "report_jitter",
        default=0.1,
        min=0.0,
        max=0.9,
        help=(
            "Share of [DEFAULT] periodic_interval by which each pause is shortened or prolonged at random, so that "
            "hosts do not report all at once."
        ),
    ),
    cfg.FloatOpt(
        "host_work_timeout",
        default=20.0,
        min=0.1,
        help="Seconds for which a caller waits until an accelerator is prepared, cleaned or released. Keep it below "
        "[DEFAULT] bind_timeout. Work that takes longer goes on, and whoever asks again gets its outcome.",
    ),
    cfg.FloatOpt(
        "error_hold_time",
        default=600.0,
        min=0.0,
        help="Seconds for which a card is the worse for an error that one of its counters grew by. It takes new work "
        "again when that is over, and [conductor] health_clean_looks reports in a row have found it working.",
    ),
    cfg.FloatOpt(
        "measure_interval",
        default=0.0,
        min=0.0,
        help="Seconds between two rounds in which drivers measure temperatures, power, utilisation and memory of their "
        "cards. Each round is one notification, accelerator.measures, so it takes [oslo_messaging_notifications] "
        "driver; 0 measures nothing.",
    ),
    cfg.BoolOpt(
        "clean",
        help="Clean an accelerator after each guest, where its driver knows how to, before another one gets it. "
        "Without it the next guest finds what the last one left on the card: only for hosts whose guests may see each "
        "other's data, and for cards that cannot be reset. By default it is done on a machine, and not for a tree of "
        "files that stands for one (sysfs_root).",
    ),
    cfg.BoolOpt(
        "hotplug",
        default=True,
        help="Look at once when a card comes, goes or changes its driver. It takes the Python package pyudev; without, "
        "and without this, such a card is found with the next report.",
    ),
    cfg.StrOpt("sysfs_root", default="/sys", help="Where drivers find sysfs."),
    cfg.StrOpt("devfs_root", default="/dev", help="Where drivers find device nodes."),
    cfg.StrOpt("procfs_root", default="/proc", help="Where drivers find procfs."),
]


def register(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(GROUP, OPTS)]
