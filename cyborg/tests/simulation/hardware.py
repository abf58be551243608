# SPDX-License-Identifier: Apache-2.0
"""Hosts of mixed cards, and what becomes of them: cards go for some reports and come back, fail and recover."""

import dataclasses
import random
from dataclasses import dataclass, field

from cyborg.domain import report
from cyborg.domain.report import DeviceType

DRIVER = "fake_driver"
#: Longer than it takes until a free card is forgotten.
LONGEST_ABSENCE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A card with so many units on each of so many regions; a region has a trait of its own."""

    type: DeviceType
    resource_class: str
    vendor: str
    product: str
    units: int = 1
    regions: int = 0

    @property
    def traits(self) -> frozenset[str]:
        kind = f"CUSTOM_{self.type}"
        return frozenset({kind, f"{kind}_{self.vendor}", f"{kind}_{self.vendor}_{self.product}"})


BIG_GPU = Model(type=DeviceType.GPU, resource_class="PGPU", vendor="NVIDIA", product="20F1")
SMALL_GPU = Model(type=DeviceType.GPU, resource_class="PGPU", vendor="NVIDIA", product="1EB8")
OTHER_GPU = Model(type=DeviceType.GPU, resource_class="PGPU", vendor="AMD", product="74A1")
FPGA = Model(type=DeviceType.FPGA, resource_class="FPGA", vendor="INTEL", product="0B30", regions=2)
QAT = Model(type=DeviceType.QAT, resource_class="CUSTOM_QAT", vendor="INTEL", product="4940", units=3)
MODELS = (BIG_GPU, SMALL_GPU, OTHER_GPU, FPGA, QAT)


def card(model: Model, slot: int) -> report.Device:
    address = f"0000:{slot:02x}:00.0"

    def units(base: int, count: int) -> tuple[report.Accelerator, ...]:
        return tuple(
            report.pci_accelerator(f"vf{number}", f"0000:{slot:02x}:{base:02x}.{number}") for number in range(count)
        )

    children = tuple(
        report.Deployable(
            key=f"region{index}",
            resource_class=model.resource_class,
            traits=frozenset({f"CUSTOM_FPGA_INTEL_REGION_{index:032X}"}),
            accelerators=units(index + 1, model.units),
        )
        for index in range(model.regions)
    )
    whole = report.Deployable(
        resource_class=model.resource_class,
        traits=model.traits,
        accelerators=() if children else units(0, model.units),
        children=children,
    )
    return report.Device(
        address=address,
        type=model.type,
        vendor=model.vendor,
        model=model.product,
        serial=f"SN-{slot}" if slot % 2 else None,
        deployables=(whole,),
    )


@dataclass
class Machine:
    """One host's slots; ``look`` is a complete scan, and time passes with it."""

    name: str
    cards: list[report.Device]
    away: dict[int, int] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)

    @classmethod
    def mixed(cls, name: str, chance: random.Random) -> "Machine":
        models = chance.choices(MODELS, k=chance.randint(2, 4))
        return cls(name, [card(model, 0x10 + slot) for slot, model in enumerate(models)])

    def flap(self, chance: random.Random) -> None:
        """Something happens to one of the cards."""
        slot = chance.randrange(len(self.cards))
        if chance.random() < 0.5:
            self.away[slot] = chance.randint(1, LONGEST_ABSENCE)
        else:
            self.failed ^= {slot}

    def mend(self) -> None:
        self.away.clear()
        self.failed.clear()

    def look(self) -> report.DeviceReport:
        seen = [
            dataclasses.replace(device, health=report.Health.FAILED) if slot in self.failed else device
            for slot, device in enumerate(self.cards)
            if slot not in self.away
        ]
        self.away = {slot: left - 1 for slot, left in self.away.items() if left > 1}
        return report.DeviceReport(host=self.name, driver=DRIVER, devices=tuple(seen))
