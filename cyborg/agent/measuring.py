# SPDX-License-Identifier: Apache-2.0
"""What the cards of a host measure, as one notification every ``[agent] measure_interval`` seconds.

    {"version": "1.0", "host": "compute-1", "measured_at": "...", "devices": [
        {"driver": "nvidia_gpu_driver", "address": "0000:3b:00.0", "sensors": {"temp_c": 48.0, "power_w": 70.2}}]}

Such values are never in a report or in the database: they change all the time, and who wants them keeps them elsewhere.
A round that cannot be sent is lost; the next one follows.
"""

import datetime
import math
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

from oslo_config import cfg
from oslo_log import log

from cyborg.conf import agent as options
from cyborg.drivers.base import Measures
from cyborg.drivers.host import Host
from cyborg.drivers.lane import Lane
from cyborg.drivers.loader import LoadedDriver
from cyborg.outage import Outage
from cyborg.rpc.notifications import Notice, Notifier, Priority

LOG = log.getLogger(__name__)
EVENT = "accelerator.measures"
VERSION = "1.0"

#: Sensor values by device address.
Values = Mapping[str, Mapping[str, float]]


class Measuring:
    """``interval`` is 0 when there is nothing to do: it is off, or nobody would hear of it."""

    def __init__(
        self, conf: cfg.ConfigOpts, host_name: str, drivers: Sequence[LoadedDriver], host: Host, notifier: Notifier
    ) -> None:
        group = conf[options.GROUP]
        self.interval: float = group.measure_interval if notifier.is_on else 0
        self._host_name = host_name
        self._timeout: float = group.driver_timeout
        self._notifier = notifier
        self._outage = Outage("Notifications of measures")
        self._lanes = [
            Lane(
                one.name,
                partial(_measure, one.driver, host),
                task="measure its cards",
                meanwhile="there are no values of them",
            )
            for one in drivers
            if isinstance(one.driver, Measures)
        ]
        if group.measure_interval and not notifier.is_on:
            LOG.warning("[agent] measure_interval has no effect without [oslo_messaging_notifications] driver.")

    def run(self, stopping: threading.Event) -> None:
        """A round every period, until ``stopping``."""
        while not stopping.wait(self.interval):
            try:
                self.run_once()
            except Exception:  # a periodic loop's edge: a bug costs one round
                LOG.exception("A round of measuring failed; the next one starts as planned.")

    def run_once(self) -> None:
        """Ask all drivers at once and tell what they measured; nothing when that is nothing."""
        for lane in self._lanes:
            lane.start()
        deadline = time.monotonic() + self._timeout
        found = [
            {"driver": lane.driver, "address": address, "sensors": dict(values)}
            for lane in self._lanes
            for address, values in (lane.outcome(deadline, self._timeout).result or {}).items()
            if values
        ]
        if found:
            moment = datetime.datetime.now(datetime.UTC).isoformat()
            payload = {"version": VERSION, "host": self._host_name, "measured_at": moment, "devices": found}
            with self._outage.watched():
                self._notifier.send(Notice(event_type=EVENT, priority=Priority.INFO, payload=payload))


def _measure(driver: Measures, host: Host) -> Values:
    """Numbers by name, in any case: what a driver of elsewhere says must not keep the others' from being sent."""
    return {
        str(address): {str(name): float(value) for name, value in sensors.items() if math.isfinite(value)}
        for address, sensors in driver.measure(host).items()
    }
