# SPDX-License-Identifier: Apache-2.0
"""Views of one host, and what may be expected of Placement for them."""

from collections.abc import Collection

from cyborg.domain import view

HOST = "compute-1"
CLASS = view.GENERIC_CLASS
GPU = frozenset({"CUSTOM_GPU", "CUSTOM_GPU_NVIDIA"})
FPGA = frozenset({"CUSTOM_FPGA", "CUSTOM_FPGA_INTEL"})


def host_view(
    provider: str,
    total: int,
    reserved: int = 0,
    *,
    shown: Collection[str] = (),
    withdrawn: Collection[str] = (),
    generation: int = 1,
) -> view.HostView:
    return view.HostView(
        host=HOST,
        generation=generation,
        providers=(
            view.Provider(
                uuid=provider,
                inventories={CLASS: view.Amount(total=total, reserved=reserved)},
                traits=frozenset(shown),
                withdrawn=frozenset(withdrawn),
            ),
        ),
    )
