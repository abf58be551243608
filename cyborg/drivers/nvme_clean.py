# SPDX-License-Identifier: Apache-2.0
"""An NVMe disk made safe for its next guest: everything on it is erased, and that is looked at afterwards.

    the whole disk     Sanitize, by block erase, else by key; else a format of each namespace with its data erased
    a VF               that format of the namespaces of its controller, where it reaches no other one's

The disk is lent to the host's driver for it, and must not be in use there. Sanitize goes on by itself, over resets and
crashes, so one that is under way when this begins is waited for: nobody could write in the meantime. What the disk says
of its success is not all: of each of its block devices a sample is taken before and after.
"""

import errno

from cyborg.domain import errors
from cyborg.domain.host_work import Unit
from cyborg.drivers import commands, lending, nvme_controller, nvme_pages, pci_reset, pci_work
from cyborg.drivers.host import Host
from cyborg.drivers.nvme_pages import Controller, Status
from cyborg.drivers.patience import until
from cyborg.drivers.pci_function import PciFunction

DRIVER = "nvme"
LIVE = "live"


def clean(host: Host, unit: Unit, patience: float) -> None:
    """``patience`` is in seconds, for all of the erasing. Raises DriverError when the disk is not known to be empty."""
    pf = pci_work.card(host, unit)
    function = pci_work.function(pf, unit)
    if function is None:
        raise errors.DriverError(
            f"{unit.key} of {unit.address} is not there, so its namespaces cannot be erased. Make it again, or erase "
            "them through the disk itself."
        )
    pci_reset.check_vfs(function, unit)
    pci_work.check_use(host, function)
    soon = min(patience, lending.PATIENCE)
    lending.take(host, function, DRIVER, soon)
    until(lambda: _is_live(function), soon, _late(f"{function.address} has no controller that is live", soon))
    pci_work.check_use(host, function)
    _Disk(host, function, patience).erase()
    lending.give_back(host, function, DRIVER)


class _Disk:
    def __init__(self, host: Host, function: PciFunction, patience: float) -> None:
        self._host = host
        self._function = function
        self._patience = patience

    def erase(self) -> None:
        about = nvme_pages.controller(self._ask(commands.NVME_CONTROLLER))
        before = self._sample_before()
        way = about.sanitize[0] if about.sanitize and not self._function.is_vf else None
        if way is not None:
            self._sanitize(way)
        elif about.formats:
            self._format(about)
        else:
            raise self._unsafe("knows neither a sanitize that it may be given nor a format")
        known = all(one.reads_as_erased for one in map(self._namespace, self._active()))
        left = nvme_pages.left_over(before, self._ask(commands.NVME_SAMPLE), known=known)
        if left:
            raise self._unsafe(f"says that it is erased, and {left} blocks of a sample still have data")

    def _sanitize(self, way: nvme_pages.Sanitize) -> None:
        if self._log().status != Status.UNDER_WAY:
            self._ask(commands.NVME_SANITIZE, way)
        log = self._log()

        def is_over() -> bool:
            nonlocal log
            log = self._log()
            return log.status != Status.UNDER_WAY

        until(is_over, self._patience, self._late("sanitize"))
        if log.status not in nvme_pages.DONE:
            raise self._unsafe(f"did not finish its sanitize: status {log.status} at {log.progress} of 65536")

    def _format(self, about: Controller) -> None:
        active = self._active()
        if self._function.is_vf:
            self._check_private(about, active)
        elif about.manages_namespaces:
            hidden = set(nvme_pages.namespaces(self._ask(commands.NVME_ALLOCATED))) - set(active)
            if hidden:
                raise self._unsafe(f"has namespaces that are not attached to it ({sorted(hidden)}), out of reach")
        for nsid in active:
            self._ask(commands.NVME_FORMAT, nsid)
        for nsid in active:
            until(
                lambda nsid=nsid: not self._namespace(nsid).formatting,  # type: ignore[misc]
                self._patience,
                self._late(f"format of namespace {nsid}"),
            )

    def _check_private(self, about: Controller, active: tuple[int, ...]) -> None:
        """The namespaces of a VF are erased only if nobody else's are with them."""
        if about.formats_all:
            raise self._unsafe("can only be formatted with all namespaces of its disk, and others have some")
        shared = [nsid for nsid in active if self._namespace(nsid).shared]
        if shared or not active:
            raise self._unsafe(
                f"shares namespace {shared[0]} with other controllers" if shared else "has no namespace attached"
            )

    def _sample_before(self) -> bytes:
        """A disk that cannot be read now, as one in the middle of a sanitize, has to be so afterwards."""
        try:
            return self._ask(commands.NVME_SAMPLE)
        except errors.DriverError:
            return b""

    def _active(self) -> tuple[int, ...]:
        return nvme_pages.namespaces(self._ask(commands.NVME_ACTIVE))

    def _namespace(self, nsid: int) -> nvme_pages.Namespace:
        return nvme_pages.namespace(self._ask(commands.NVME_NAMESPACE, nsid))

    def _log(self) -> nvme_pages.SanitizeLog:
        return nvme_pages.sanitize_log(self._ask(commands.NVME_SANITIZE_LOG))

    def _ask(self, command: str, value: int = 0) -> bytes:
        try:
            return self._host.command(command, self._function.address, value)
        except OSError as exc:
            if exc.errno == errno.EBUSY:
                raise errors.InUse(f"{self._function.address} is used by the host, and is left alone.") from exc
            raise self._unsafe(f"does not do {command}: {exc.strerror or exc}") from exc

    def _late(self, work: str) -> str:
        return _late(f"{self._function.address} is not at the end of its {work}", self._patience)

    def _unsafe(self, what: str) -> errors.DriverError:
        return errors.DriverError(
            f"The disk {self._function.address} {what}. Nothing says that it is safe for another guest: erase it by "
            "hand, or replace it."
        )


def _is_live(function: PciFunction) -> bool:
    return any(one.text("state") in (LIVE, None) for one in nvme_controller.of(function))


def _late(what: str, patience: float) -> str:
    return f"{what} after {patience:g} seconds. Ask again later, or see its log."
