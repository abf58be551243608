# SPDX-License-Identifier: Apache-2.0
"""From the names an operator enables to driver instances, each with its own options.

A driver is an entry point in the group ``cyborg.accelerator.driver``. Only enabled ones are imported, so a broken
driver that nobody enabled disturbs nobody. One that is enabled and cannot be had is an error that names it: an
agent that silently did without would make its cards look gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from oslo_config import cfg
from stevedore import driver as stevedore_driver
from stevedore import exception as stevedore_exception

from cyborg.domain import errors
from cyborg.drivers.base import Driver, HasFurtherGroups

ENTRY_POINTS = "cyborg.accelerator.driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDriver:
    name: str
    driver: Driver


def load(conf: cfg.ConfigOpts, names: Iterable[str]) -> list[LoadedDriver]:
    """The drivers in the order of their names, repeated names once; raises DriverError for one that cannot be had."""
    return [LoadedDriver(name=name, driver=_make(conf, name)) for name in dict.fromkeys(names)]


def known() -> list[str]:
    """The names that can be enabled on this machine."""
    return sorted({point.name for point in metadata.entry_points(group=ENTRY_POINTS)})


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of every known driver by group, for the sample configuration."""
    groups: dict[str, dict[str, cfg.Opt]] = {}
    for name in known():
        cls = _import(name)
        if cls.option_group is not None:
            groups.setdefault(cls.option_group, {}).update({opt.dest: opt for opt in cls.options})
    return [(group, list(options.values())) for group, options in sorted(groups.items())]


def _make(conf: cfg.ConfigOpts, name: str) -> Driver:
    cls = _import(name)
    try:
        options = _options(conf, cls)
        driver: Driver = cls(options)
    except errors.DriverError as exc:
        raise errors.DriverError(f"Driver {name} cannot start: {exc.message}") from exc
    except Exception as exc:
        raise errors.DriverError(
            f"Driver {name} cannot start: {type(exc).__name__}: {exc}. "
            f"Check [{cls.option_group or 'DEFAULT'}] in the configuration, or disable the driver."
        ) from exc
    return driver


def _import(name: str) -> Any:
    try:
        return stevedore_driver.DriverManager(ENTRY_POINTS, name).driver
    except stevedore_exception.NoMatches as exc:
        raise errors.DriverError(
            f"There is no driver named {name!r}. Known are: {', '.join(known()) or 'none'}. "
            "Check [agent] enabled_drivers, and that the package which brings the driver is installed."
        ) from exc
    except Exception as exc:
        raise errors.DriverError(
            f"Driver {name} cannot be imported: {type(exc).__name__}: {exc}. Install what it needs, or disable it."
        ) from exc


def _options(conf: cfg.ConfigOpts, cls: Any) -> dict[str, Any]:
    if cls.option_group is None:
        return {}
    options = _read(conf, cls.option_group, cls.options)
    if isinstance(cls, HasFurtherGroups):
        further: Mapping[str, Sequence[cfg.Opt]] = cls.further_groups(options)
        options |= {group: _read(conf, group, opts) for group, opts in further.items()}
    return options


def _read(conf: cfg.ConfigOpts, group: str, opts: Sequence[cfg.Opt]) -> dict[str, Any]:
    """Registered here and not in `conf`: only the options of enabled drivers exist."""
    conf.register_opts(list(opts), group=group)
    return {opt.dest: conf[group][opt.dest] for opt in opts}
