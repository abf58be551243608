# SPDX-License-Identifier: Apache-2.0
"""In which shape a host's accelerators are shown in Placement: on which providers, and under which classes."""

from dataclasses import dataclass
from enum import StrEnum


class Layout(StrEnum):
    """On the compute node's own provider, or on one provider below it for each deployable."""

    COMPUTE_NODE = "compute_node"
    NESTED = "nested"


class Naming(StrEnum):
    """One class for every accelerator, or the class that its driver names (FPGA, PGPU, VGPU, CUSTOM_QAT).

    ``COUNTED`` is one class for every accelerator, and beside it one for each kind, which counts the same units once
    more: a request that names both is exact at its claim.
    """

    GENERIC = "generic"
    COUNTED = "counted"
    TYPED = "typed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    layout: Layout = Layout.COMPUTE_NODE
    naming: Naming = Naming.GENERIC

    def __str__(self) -> str:
        return f"layout {self.layout} with {self.naming} classes"


DEFAULT_SHAPE = Shape()
