# SPDX-License-Identifier: Apache-2.0
"""One round of the agent: scan -> report -> view -> Placement.

An unchanged host costs one small RPC and one read from Placement. Every round does the whole: whatever
was lost on the way, or changed by somebody else, is repaired by the next one.
"""

from collections.abc import Mapping, Sequence

from oslo_config import cfg

from cyborg.agent.publication import Publication
from cyborg.agent.wish import Wish
from cyborg.conf import agent as options
from cyborg.domain import errors, report
from cyborg.drivers.host import Host
from cyborg.drivers.loader import LoadedDriver
from cyborg.drivers.scan import Scanner
from cyborg.outage import Outage
from cyborg.placement.publisher import Publisher
from cyborg.rpc.conductor import ConductorClient


class Reporter:
    """Rounds are not to overlap."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        host_name: str,
        drivers: Sequence[LoadedDriver],
        host: Host,
        *,
        conductor: ConductorClient,
        publisher: Publisher,
    ) -> None:
        self._host_name = host_name
        self._conductor = conductor
        wanted = conf[options.GROUP].clean
        cleans = host.is_this_machine if wanted is None else wanted
        unused = frozenset() if cleans else {report.Capability.CLEANS}
        self._capabilities = {driver.name: driver.capabilities - unused for driver in drivers}
        self._scanner = Scanner(drivers, host, conf[options.GROUP].driver_timeout)
        self.publication = Publication(host_name, publisher)
        self._wish = Wish(conf, host_name)
        self._conductor_outage = Outage("Conductor")
        self._report_trouble = {driver.name: Outage(f"Report of driver {driver.name}") for driver in drivers}

    def run_once(self) -> None:
        """One round; what cannot be done is logged when it starts and left to the next one."""
        self.publication.look_for_provider()
        reports = self._scan()
        with self._conductor_outage.watched():
            self._exchange(reports)
        self.publication.publish()

    def _scan(self) -> dict[str, report.DeviceReport]:
        """The reports by driver; a driver that failed has none, which changes nothing in the books."""
        return {
            result.driver: report.DeviceReport(
                host=self._host_name,
                driver=result.driver,
                devices=result.devices,
                capabilities=self._capabilities[result.driver],
            )
            for result in self._scanner.scan()
            if result.devices is not None
        }

    def _exchange(self, reports: Mapping[str, report.DeviceReport]) -> None:
        """Send what the conductor does not know yet, and take the view that it answers with."""
        held = self.publication.view
        digests = {name: reports[name].digest if name in reports else "" for name in self._report_trouble}
        answer = self._conductor.sync(
            self._host_name,
            self.publication.provider_uuid,
            digests,
            self.publication.generation,
            wish=self._wish.shape,
            idle=self._wish.differs_from(held) and self.publication.is_idle(),
        )
        if answer.view is not None:
            self.publication.adopt(answer.view, held)
            self._wish.compare(held, answer.view)
        for name in answer.stale:
            if name in reports:
                self._report(reports[name], answer.sequences.get(name))

    def _report(self, seen: report.DeviceReport, sequence: int | None) -> None:
        """Send one driver's report; one that is refused does not keep the others back."""
        held = self.publication.view
        trouble = self._report_trouble[seen.driver]
        try:
            answer = self._conductor.report(seen, sequence)
        except errors.Unavailable:
            raise
        except errors.CyborgError as exc:
            trouble.goes_on(exc)
        else:
            trouble.is_over()
            self.publication.adopt(answer, held)
