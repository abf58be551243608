# SPDX-License-Identifier: Apache-2.0
"""The traits of a card: made from ids alone, never from free text that a vendor wrote."""

import re

from cyborg.domain.report import DeviceType
from cyborg.domain.view import trait_token

PROGRAMMABLE = "CUSTOM_PROGRAMMABLE"

#: Names of vendors in traits; any other vendor is named by its id.
VENDORS = {
    "8086": "INTEL",
    "10de": "NVIDIA",
    "1002": "AMD",
    "10ee": "XILINX",
    "1bd4": "INSPUR",
    "19e5": "HUAWEI",
    "144d": "SAMSUNG",
    "15b3": "MELLANOX",
    "102b": "MATROX",
}


def vendor_token(vendor: str) -> str:
    return VENDORS.get(vendor, vendor.upper())


def product(kind: DeviceType, vendor: str, model: str) -> frozenset[str]:
    """``CUSTOM_GPU``, ``CUSTOM_GPU_NVIDIA`` and ``CUSTOM_GPU_NVIDIA_26B9``."""
    family = f"CUSTOM_{kind}"
    maker = f"{family}_{vendor_token(vendor)}"
    return frozenset({family, maker, f"{maker}_{model.upper()}"})


def vgpu(vendor: str, model: str, type_name: str) -> frozenset[str]:
    """``CUSTOM_GPU_NVIDIA_1EB8_T4_2B`` for the type ``GRID T4-2B``: its name without the first word."""
    token = trait_token(type_name.partition(" ")[2] or type_name)
    return frozenset({f"CUSTOM_GPU_{vendor_token(vendor)}_{model.upper()}_{token}"}) if token else frozenset()


def identified(kind: DeviceType, vendor: str, word: str, text: str | None) -> frozenset[str]:
    """``CUSTOM_FPGA_INTEL_REGION_<32 hex>``; none for an id that is unreadable or all zero."""
    digits = (text or "").strip().replace("-", "").upper()
    if not re.fullmatch(r"[0-9A-F]{32}", digits) or not int(digits, 16):
        return frozenset()
    return frozenset({f"CUSTOM_{kind}_{vendor_token(vendor)}_{word}_{digits}"})
