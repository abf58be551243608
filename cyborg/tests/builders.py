# SPDX-License-Identifier: Apache-2.0
"""Hosts as their drivers would report them, for tests that need hardware and not its details."""

from collections.abc import Sequence

from cyborg.domain import report

DRIVER = "fake_driver"
GPU_TRAITS = frozenset({"CUSTOM_GPU", "CUSTOM_GPU_NVIDIA", "CUSTOM_GPU_NVIDIA_20F1"})
FPGA_TRAITS = frozenset({"CUSTOM_FPGA", "CUSTOM_FPGA_INTEL"})


def gpu(address: str = "0000:3b:00.0", *, traits: frozenset[str] = GPU_TRAITS) -> report.Device:
    """A whole card, one accelerator."""
    part = report.Deployable(
        resource_class="PGPU", traits=traits, accelerators=(report.pci_accelerator("pf", address),)
    )
    return report.Device(
        address=address,
        type=report.DeviceType.GPU,
        vendor="10de",
        model="20f1",
        serial=f"SN-{address}",
        numa_node=0,
        deployables=(part,),
        facts={"memory_mib": 40960},
    )


def fpga(address: str = "0000:5e:00.0", *, regions: int = 1) -> report.Device:
    """A card whose regions are child deployables, one accelerator each."""
    slot = address.rsplit(".", 1)[0]
    children = tuple(
        report.Deployable(
            key=f"region{index}",
            resource_class="FPGA",
            traits=frozenset({f"CUSTOM_FPGA_INTEL_REGION_{index:032X}"}),
            accelerators=(report.pci_accelerator("vf0", f"{slot}.{index + 1}"),),
        )
        for index in range(regions)
    )
    card = report.Deployable(resource_class="FPGA", traits=FPGA_TRAITS, children=children)
    return report.Device(address=address, type=report.DeviceType.FPGA, vendor="8086", model="0b30", deployables=(card,))


def host(name: str, devices: Sequence[report.Device]) -> report.DeviceReport:
    return report.DeviceReport(host=name, driver=DRIVER, devices=tuple(devices))


def gpu_host(name: str, count: int = 1) -> report.DeviceReport:
    return host(name, [gpu(f"0000:{0x3B + index:02x}:00.0") for index in range(count)])


def mixed_host(name: str) -> report.DeviceReport:
    """One GPU and one FPGA."""
    return host(name, [gpu(), fpga()])
