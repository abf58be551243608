# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the module ``pynvml`` that answers from a table.

    {"init": "ok", "devices": [{"bus_id": "00000000:3B:00.0", "uuid": "GPU-...", "temperature": 41}]}

What a card's table lacks is "not supported", as on a real card. ``init`` other than "ok" is the error of starting.
``handle_error`` is the error of every question about the card.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

CODES = {
    "NVML_ERROR_NOT_SUPPORTED": 3,
    "NVML_ERROR_NOT_FOUND": 6,
    "NVML_ERROR_DRIVER_NOT_LOADED": 9,
    "NVML_ERROR_CORRUPTED_INFOROM": 14,
    "NVML_ERROR_GPU_IS_LOST": 15,
    "NVML_ERROR_RESET_REQUIRED": 16,
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": 18,
    "NVML_ERROR_UNKNOWN": 999,
}


class NVMLError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.value = CODES[name]


class FakeNvml:
    """``running`` is whether it was started and not yet stopped; ``starts`` counts."""

    NVMLError = NVMLError

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state
        self.running = False
        self.starts = 0

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        self.starts += 1
        if self._state["init"] != "ok":
            raise NVMLError(self._state["init"])
        self.running = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.running = False

    def nvmlDeviceGetHandleByPciBusId(self, address: str) -> Mapping[str, Any]:  # noqa: N802
        for card in self._state["devices"]:
            if card["bus_id"].lower()[-len(address) :] == address:
                if "handle_error" in card:
                    raise NVMLError(card["handle_error"])
                return dict(card)
        raise NVMLError("NVML_ERROR_NOT_FOUND")

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
        return [rows[name] for name in ("correctable", "uncorrectable", "pending", "failure")]

    def nvmlDeviceGetMigMode(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "mig_mode")

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(card, "max_mig_devices")

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Mapping[str, Any], index: int) -> Any:  # noqa: N802
        for instance in card.get("mig_devices", ()):
            if instance["index"] == index:
                return instance
        raise NVMLError("NVML_ERROR_NOT_FOUND")

    def nvmlDeviceGetGpuInstanceId(self, instance: Mapping[str, Any]) -> Any:  # noqa: N802
        return _of(instance, "gpu_instance_id")

    def nvmlDeviceGetAttributes(self, instance: Mapping[str, Any]) -> Any:  # noqa: N802
        return SimpleNamespace(gpuInstanceSliceCount=_of(instance, "slices"), memorySizeMB=_of(instance, "memory_mb"))

    def nvmlVgpuTypeGetMaxInstances(self, card: Mapping[str, Any], vgpu_type: int) -> Any:  # noqa: N802
        return _of(card.get("vgpu_max_instances", {}), str(vgpu_type))


def _of(table: Mapping[str, Any], name: str) -> Any:
    value = table.get(name, "NOT_SUPPORTED")
    if isinstance(value, str) and value == "NOT_SUPPORTED":
        raise NVMLError("NVML_ERROR_NOT_SUPPORTED")
    return value
