# SPDX-License-Identifier: Apache-2.0
"""From the names an operator enables to driver instances, each with its own options.

A driver is an entry point in the group ``cyborg.accelerator.driver``. Only enabled ones are imported, so a broken
driver that nobody enabled disturbs nobody. One that is enabled and cannot be had is an error that names it: an
agent that silently did without would make its cards look gone.
"""

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from oslo_config import cfg
from oslo_log import log
from stevedore import driver as stevedore_driver
from stevedore import exception as stevedore_exception

from cyborg.domain import errors
from cyborg.domain.report import Capability
from cyborg.drivers.base import Cleans, Driver, HasFurtherGroups, Prepares, Programs

LOG = log.getLogger(__name__)

ENTRY_POINTS = "cyborg.accelerator.driver"
PROTOCOLS: Mapping[Capability, type] = {
    Capability.PREPARES: Prepares,
    Capability.CLEANS: Cleans,
    Capability.PROGRAMS: Programs,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDriver:
    name: str
    driver: Driver

    @property
    def capabilities(self) -> frozenset[str]:
        """What the driver can do, by the protocols that it has."""
        return frozenset(str(name) for name, protocol in PROTOCOLS.items() if isinstance(self.driver, protocol))


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
        cls = class_of(name)
        if cls.option_group is not None:
            groups.setdefault(cls.option_group, {}).update({opt.dest: opt for opt in cls.options})
    return [(group, list(options.values())) for group, options in sorted(groups.items())]


def make(name: str, values: Mapping[str, Mapping[str, Any]], replacements: Mapping[str, Any] | None = None) -> Driver:
    """A driver with ``values`` by group and option in place of a configuration; what they lack takes its default.

    ``replacements`` take the place of libraries and other means: those whose names the driver's constructor has.
    Raises DriverError for a driver that cannot be had, or a value that an option cannot have.
    """
    cls = class_of(name)
    options = _given(cls.option_group, cls.options, values)
    if isinstance(cls, HasFurtherGroups):
        further: Mapping[str, Sequence[cfg.Opt]] = cls.further_groups(options)
        options |= {group: _given(group, opts, values) for group, opts in further.items()}
    accepted = inspect.signature(cls).parameters
    driver: Driver = cls(options, **{key: value for key, value in (replacements or {}).items() if key in accepted})
    return driver


def _given(group: str | None, opts: Sequence[cfg.Opt], values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    given = values.get(group or "", {})
    for unknown in sorted(set(given) - {opt.dest for opt in opts}):
        LOG.warning("[%s] has no option %s; it is left out.", group, unknown)
    return {opt.dest: _value(group, opt, given[opt.dest]) if opt.dest in given else opt.default for opt in opts}


def _value(group: str | None, opt: cfg.Opt, value: Any) -> Any:
    """JSON objects stand for the text that an option has in a configuration file."""
    try:
        if opt.multi:
            items = value if isinstance(value, list | tuple) else [value]
            return [opt.type(item if isinstance(item, str) else json.dumps(item)) for item in items]
        return opt.type(value)
    except (ValueError, TypeError) as exc:
        raise errors.DriverError(f"[{group}] {opt.name} cannot be {value!r}: {exc}.") from exc


def _make(conf: cfg.ConfigOpts, name: str) -> Driver:
    cls = class_of(name)
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


def class_of(name: str) -> Any:
    """The driver's class; raises DriverError for a name that is not known, or cannot be imported."""
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
