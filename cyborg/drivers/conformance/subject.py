# SPDX-License-Identifier: Apache-2.0
"""A driver under test: made anew at will, looking within a limit, on twins of its recorded hosts."""

import contextlib
import importlib
import inspect
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers import loader, recorded
from cyborg.drivers.base import Driver
from cyborg.drivers.conformance.trees import Stock
from cyborg.drivers.fake_nvml import FakeNvml
from cyborg.drivers.host import Host
from cyborg.drivers.twin import Died, Twin

T = TypeVar("T")
#: Seconds that a look, or one step of host work, may take on a host of files.
LIMIT = 5.0
UUID = "5f5e4d3c-0000-4000-8000-{:012d}"


#: What makes a driver of its options, with `base.Driver`'s class attributes; from anywhere.
DriverClass: TypeAlias = Any


class Hung(Exception):
    """No answer within the limit."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """``data`` is what stands in a recorded host, with ``options`` of the driver and an ``nvml`` table beside."""

    name: str
    data: Mapping[str, Any]

    @property
    def functions(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.data.get("pci") or {}
        return found

    @cached_property
    def contents(self) -> recorded.Contents:
        """The files of the host."""
        return recorded.contents(self.data)

    def with_function(self, address: str, **changes: Any) -> "Case":
        """With other files in one function."""
        functions = {**self.functions, address: {**self.functions[address], **changes}}
        return Case(name=self.name, data={**self.data, "pci": functions})


@dataclass(kw_only=True)
class Subject:
    """``limit`` is in seconds."""

    name: str
    cls: DriverClass
    cases: Sequence[Case]
    directory: Path
    limit: float = LIMIT

    def __post_init__(self) -> None:
        self._stock = Stock(self.directory)

    @classmethod
    def of(cls, driver: str, recordings: Sequence[Path], directory: Path) -> "Subject":
        """``driver`` is a name that can be enabled, or ``module:Class``; raises DriverError or HostUnreadable."""
        if ":" in driver:
            module, _, name = driver.partition(":")
            try:
                found = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError) as exc:
                raise errors.DriverError(f"There is no {name} in {module}: {exc}.") from exc
        else:
            found = loader.class_of(driver)
        cases = [Case(name=str(path), data=recorded.load(path)) for path in recordings]
        return cls(name=driver, cls=found, cases=cases, directory=directory)

    @contextlib.contextmanager
    def twin(self, case: Case) -> Iterator[Twin]:
        """A host that nothing has happened to; another one has it afterwards."""
        with self._stock.lend(case.name, case.contents) as root:
            yield Twin(case.data, root, written=True)

    def driver(self, case: Case) -> Driver:
        """A new one, as an agent makes it when it starts."""
        values = {option.dest: option.default for option in self.cls.options} | (case.data.get("options") or {})
        more = {}
        if "nvml" in case.data and "nvml_library" in inspect.signature(self.cls).parameters:
            more["nvml_library"] = FakeNvml(case.data["nvml"])
        driver: Driver = self.cls(values, **more)
        return driver

    def look(self, case: Case, host: Host, driver: Driver | None = None) -> tuple[report.Device, ...]:
        """What a new driver, or the given one, sees; raises what it raises, and Hung."""
        eyes = driver or self.driver(case)
        return self.within_limit(lambda: tuple(eyes.discover(host)))

    def first_look(self, case: Case) -> tuple[report.Device, ...]:
        """What a new driver sees on a host that nothing has happened to."""
        with self.twin(case) as twin:
            return self.look(case, twin.host)

    def within_limit(self, work: Callable[[], T]) -> T:
        """The result of ``work``; raises what it raises, and Hung."""
        results: list[T] = []
        raised: list[BaseException] = []

        def do() -> None:
            try:
                results.append(work())
            except (Exception, Died) as exc:  # noqa: BLE001 - handed to the caller, who judges it
                raised.append(exc)

        thread = threading.Thread(target=do, name=f"conformance-{self.name}", daemon=True)
        thread.start()
        thread.join(self.limit)
        if thread.is_alive():
            self._stock.abandon()
            raise Hung(f"no answer within {self.limit:g} seconds")
        if raised:
            raise raised[0]
        return results[0]


def units(devices: Sequence[report.Device]) -> list[Unit]:
    """Every accelerator as the one that is worked on, with a uuid of its own."""
    numbers = itertools.count()
    return [
        Unit(
            uuid=UUID.format(next(numbers)),
            driver="under_test",
            address=device.address,
            vendor=device.vendor,
            model=device.model,
            part=part.key,
            key=one.key,
            type=one.type,
            info=one.info,
        )
        for device in devices
        for _, part in device.walk()
        for one in part.accelerators
    ]
