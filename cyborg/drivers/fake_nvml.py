# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the module ``pynvml`` that answers from a table.

    {"init": "ok", "devices": [{"bus_id": "00000000:3B:00.0", "uuid": "GPU-...", "temperature": 41}]}

What a card's table lacks is "not supported", as on a real card. ``init`` other than "ok" is the error of starting.
``handle_error`` is the error of every question about the card; the name of an error in place of a value is that of the
one question. Names are those of NVML, with or without ``NVML_ERROR_``; what is none of them is an unknown error.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

OK = "ok"
PREFIX = "NVML_ERROR_"
UNKNOWN = 999
CODES = {
    "UNINITIALIZED": 1,
    "INVALID_ARGUMENT": 2,
    "NOT_SUPPORTED": 3,
    "NO_PERMISSION": 4,
    "ALREADY_INITIALIZED": 5,
    "NOT_FOUND": 6,
    "INSUFFICIENT_SIZE": 7,
    "INSUFFICIENT_POWER": 8,
    "DRIVER_NOT_LOADED": 9,
    "TIMEOUT": 10,
    "IRQ_ISSUE": 11,
    "LIBRARY_NOT_FOUND": 12,
    "FUNCTION_NOT_FOUND": 13,
    "CORRUPTED_INFOROM": 14,
    "GPU_IS_LOST": 15,
    "RESET_REQUIRED": 16,
    "OPERATING_SYSTEM": 17,
    "LIB_RM_VERSION_MISMATCH": 18,
    "IN_USE": 19,
    "MEMORY": 20,
    "NO_DATA": 21,
    "UNKNOWN": UNKNOWN,
}
REMAPPED_ROWS = ("correctable", "uncorrectable", "pending", "failure")


class NVMLError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.value = CODES.get(name.removeprefix(PREFIX), UNKNOWN)


class FakeNvml:
    """``running`` is whether it was started and not yet stopped; ``starts`` counts."""

    NVMLError = NVMLError

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state
        self.running = False
        self.starts = 0

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        self.starts += 1
        if self._state.get("init", OK) != OK:
            raise NVMLError(self._state["init"])
        self.running = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.running = False

    def nvmlDeviceGetHandleByPciBusId(self, address: str) -> Mapping[str, Any]:  # noqa: N802
        for card in self._state.get("devices", ()):
            if _place(card["bus_id"]) == _place(address):
                if "handle_error" in card:
                    raise NVMLError(card["handle_error"])
                return dict(card)
        raise NVMLError("NOT_FOUND")

    def nvmlDeviceGetUUID(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "uuid")

    def nvmlDeviceGetName(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "name")

    def nvmlDeviceGetSerial(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "serial")

    def nvmlDeviceGetMemoryInfo(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return SimpleNamespace(total=_of(card, "memory_total"), used=card.get("memory_used"))

    def nvmlDeviceGetUtilizationRates(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=_of(card, "utilisation"))

    def nvmlDeviceGetPowerUsage(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "power_milliwatts")

    def nvmlDeviceGetTemperature(self, card: Mapping[str, Any], sensor: int) -> Any:  # noqa: N802
        return _of(card, "temperature") if sensor == 0 else _of(card, "")

    def nvmlDeviceGetTemperatureThreshold(self, card: Mapping[str, Any], kind: int) -> Any:  # noqa: N802
        return _of(card, "slowdown_temperature") if kind == 1 else _of(card, "")

    def nvmlDeviceGetTotalEccErrors(self, card: Mapping[str, Any], kind: int, counter: int) -> Any:  # noqa: N802
        name = {0: "ecc_corrected_volatile", 1: "ecc_uncorrected_volatile"}[kind] if counter == 0 else ""
        return _of(card, name)

    def nvmlDeviceGetRetiredPagesPendingStatus(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "retired_pages_pending")

    def nvmlDeviceGetRemappedRows(self, card: Mapping[str, Any]) -> Sequence[int]:  # noqa: N802
        rows = _of(card, "remapped_rows")
        return [rows.get(name, 0) for name in REMAPPED_ROWS] if isinstance(rows, Mapping) else rows

    def nvmlDeviceGetMigMode(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "mig_mode")

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "max_mig_devices")

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Mapping[str, Any], index: int) -> Any:  # noqa: N802
        for instance in card.get("mig_devices", ()):
            if instance["index"] == index:
                return instance
        raise NVMLError("NOT_FOUND")

    def nvmlDeviceGetGpuInstanceId(self, instance: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(instance, "gpu_instance_id")

    def nvmlDeviceGetAttributes(self, instance: Mapping[str, Any]) -> Any:  # noqa: N802
        return SimpleNamespace(gpuInstanceSliceCount=_of(instance, "slices"), memorySizeMB=_of(instance, "memory_mb"))

    def nvmlVgpuTypeGetMaxInstances(self, card: Mapping[str, Any], vgpu_type: int) -> Any:  # noqa: N802
        return _of(_of(card, "vgpu_max_instances"), str(vgpu_type))


def _place(address: str) -> tuple[int, str]:
    """However many digits the domain is written with."""
    domain, _, rest = address.lower().partition(":")
    return int(domain, 16), rest


def _of(table: Mapping[str, Any], name: str) -> Any:
    value = table.get(name)
    if value is None or (isinstance(value, str) and value.removeprefix(PREFIX) in CODES):
        raise NVMLError(value or "NOT_SUPPORTED")
    return value
