# SPDX-License-Identifier: Apache-2.0
"""How the NVMe disks behind an SPDK target are: their controllers, and the SMART logs that the target reads."""

import re
from collections.abc import Iterator, Mapping

from cyborg.domain.report import Health
from cyborg.drivers import nvme_smart
from cyborg.drivers.nvme_smart import Grew, Smart
from cyborg.drivers.pci_health import Finding
from cyborg.drivers.spdk_answers import Object, controller_paths, number, nvme, text

NOT_ENABLED: Finding = (Health.DEGRADED, "controller_not_enabled")
ENABLED = "enabled"


def disks(bdevs: list[Object], controllers: list[Object]) -> list[str]:
    """Names of NVMe controllers: ``Nvme0`` is that of the block device ``Nvme0n1``, where the target lists none."""
    named = {text(controller.get("name")) for controller in controllers}
    guessed = {re.sub(r"n\d+$", "", text(bdev.get("name"))) for bdev in bdevs if nvme(bdev)}
    return sorted((named | guessed) - {""})


def states(controllers: list[Object]) -> Iterator[Finding]:
    for path in controller_paths(controllers):
        if path.get("state", ENABLED) != ENABLED:
            yield NOT_ENABLED


def smart(about: Object) -> Smart:
    """Of an answer to ``bdev_nvme_get_controller_health_info``; older releases leave the critical warning out."""
    return Smart(
        warnings=number(about.get("critical_warning")) or 0,
        temperature=number(about.get("temperature_celsius")),
        spare=number(about.get("available_spare_percentage")),
        least_spare=number(about.get("available_spare_threshold_percentage")),
        used=number(about.get("percentage_used")),
        media_errors=number(about.get("media_errors")),
        warm=number(about.get("warning_temperature_time_minutes")),
        hot=number(about.get("critical_composite_temperature_time_minutes")),
    )


def findings(found: Mapping[str, Smart], grew: Grew) -> Iterator[Finding]:
    for disk, one in found.items():

        def grew_there(name: str, value: int | None, disk: str = disk) -> bool:
            return grew(f"{disk} {name}", value)

        yield from nvme_smart.findings(one, grew_there)


def sensors(found: Mapping[str, Smart]) -> dict[str, float]:
    """Each by the name of its disk, as ``Nvme0.temp_c``, and ``temp_c`` of the hottest one for the target."""
    values = {f"{disk}.{name}": value for disk, one in found.items() for name, value in nvme_smart.sensors(one).items()}
    temperatures = [one.temperature for one in found.values() if one.temperature is not None]
    return values | ({"temp_c": float(max(temperatures))} if temperatures else {})
