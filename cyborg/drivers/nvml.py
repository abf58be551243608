# SPDX-License-Identifier: Apache-2.0
"""What NVIDIA's management library says of a card, where it is installed and answers.

The library is opened once per scan and closed again whatever happens:

    with nvml.opened(library) as session:
        card = session.card(function) if session else None

Cards are asked for by PCI address, never by index: that order is not stable. Every call may fail alone; a
failure that says something about the card becomes a finding, any other a value that is not known.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from oslo_log import log

from cyborg.domain.report import Health
from cyborg.drivers.pci_function import PciFunction
from cyborg.drivers.pci_health import Finding

LOG = log.getLogger(__name__)

CORRECTED, UNCORRECTED, VOLATILE = 0, 1, 0
MANY_CORRECTED = 10
MIB = 1 << 20
GPU_TEMPERATURE, SLOWDOWN_THRESHOLD = 0, 1
MIG_ON = 1

UNAVAILABLE: Finding = (Health.UNKNOWN, "nvml_unavailable")
NOT_VISIBLE: Finding = (Health.UNKNOWN, "not_visible_to_nvml")
LOST: Finding = (Health.FAILED, "gpu_lost")
#: NVML's error numbers that tell of the card, and what they tell.
TELLING: dict[int, Finding] = {
    14: (Health.DEGRADED, "infoROM"),
    15: LOST,
    16: (Health.FAILED, "reset_required"),
    999: (Health.UNKNOWN, "nvml_error"),
}


def installed() -> Any:
    """The module ``pynvml`` of the package nvidia-ml-py, None where that is not installed."""
    try:
        import pynvml
    except ImportError:
        return None
    return pynvml


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """``mig`` are the instances of a card in MIG mode, None for one that is not."""

    uuid: str | None = None
    name: str | None = None
    serial: str | None = None
    memory_mib: int | None = None
    mig: tuple[dict[str, Any], ...] | None = None
    findings: tuple[Finding, ...] = ()


@contextlib.contextmanager
def opened(library: Any) -> Iterator["Session | None"]:
    """None when the library is not there or does not start: then nothing is known of any card."""
    if library is None:
        yield None
        return
    try:
        library.nvmlInit()
    except library.NVMLError as exc:
        LOG.debug("NVML does not start: %s", exc)
        yield None
        return
    try:
        yield Session(library)
    finally:
        with contextlib.suppress(library.NVMLError):
            library.nvmlShutdown()


class Session:
    def __init__(self, library: Any) -> None:
        self._library = library

    def card(self, gpu: PciFunction) -> Card:
        question = _Question(self._library)
        handle = question.ask("nvmlDeviceGetHandleByPciBusId", gpu.address)
        if handle is None:
            return Card(findings=tuple(question.findings) or (NOT_VISIBLE,))
        memory = question.ask("nvmlDeviceGetMemoryInfo", handle)
        temperature = question.ask("nvmlDeviceGetTemperature", handle, GPU_TEMPERATURE)
        question.findings += _errors(question, handle, gpu)
        limit = question.ask("nvmlDeviceGetTemperatureThreshold", handle, SLOWDOWN_THRESHOLD)
        if temperature is not None and limit and temperature >= limit:
            question.findings.append((Health.DEGRADED, "over_temperature"))
        return Card(
            uuid=_text(question.ask("nvmlDeviceGetUUID", handle)),
            name=_text(question.ask("nvmlDeviceGetName", handle)),
            serial=_text(question.ask("nvmlDeviceGetSerial", handle)),
            memory_mib=memory.total // MIB if memory is not None else None,
            mig=_mig(question, handle),
            findings=tuple(question.findings),
        )

    def sensors(self, address: str) -> dict[str, float]:
        """What changes all the time; nothing of a card that does not answer."""
        question = _Question(self._library)
        handle = question.ask("nvmlDeviceGetHandleByPciBusId", address)
        if handle is None:
            return {}
        memory = question.ask("nvmlDeviceGetMemoryInfo", handle)
        load = question.ask("nvmlDeviceGetUtilizationRates", handle)
        milliwatts = question.ask("nvmlDeviceGetPowerUsage", handle)
        found = {
            "temp_c": question.ask("nvmlDeviceGetTemperature", handle, GPU_TEMPERATURE),
            "power_w": None if milliwatts is None else milliwatts / 1000,
            "utilisation_percent": getattr(load, "gpu", None),
            "memory_used_mib": _mib(memory, "used"),
            "memory_total_mib": _mib(memory, "total"),
        }
        return {name: float(value) for name, value in found.items() if value is not None}

    def most_vgpus(self, address: str, vgpu_type: int) -> int | None:
        """How many virtual GPUs of the type the card can carry, None when NVML cannot tell."""
        question = _Question(self._library)
        handle = question.ask("nvmlDeviceGetHandleByPciBusId", address)
        most = question.ask("nvmlVgpuTypeGetMaxInstances", handle, vgpu_type) if handle is not None else None
        return most if isinstance(most, int) else None


class _Question:
    """Asks the library, and keeps what its refusals tell of the card."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.findings: list[Finding] = []

    def ask(self, call: str, *arguments: Any) -> Any:
        """None when the call fails, or when the installed library is too old to have it."""
        function = getattr(self._library, call, None)
        if function is None:
            return None
        try:
            return function(*arguments)
        except self._library.NVMLError as exc:
            finding = TELLING.get(getattr(exc, "value", -1))
            if finding and finding not in self.findings:
                self.findings.append(finding)
            return None


def _errors(question: _Question, handle: Any, gpu: PciFunction) -> list[Finding]:
    """Errors that were corrected count by their rate: how many there were before says nothing."""
    found: list[Finding] = []
    uncorrected = question.ask("nvmlDeviceGetTotalEccErrors", handle, UNCORRECTED, VOLATILE)
    if gpu.grew("ecc_uncorrected", uncorrected):
        found.append((Health.FAILED, "ecc_uncorrected"))
    corrected = question.ask("nvmlDeviceGetTotalEccErrors", handle, CORRECTED, VOLATILE)
    if gpu.grew("ecc_corrected", corrected, by=MANY_CORRECTED, first=None):
        found.append((Health.DEGRADED, "ecc_corrected_rate"))
    if question.ask("nvmlDeviceGetRetiredPagesPendingStatus", handle):
        found.append((Health.DEGRADED, "retired_pages_pending"))
    rows = question.ask("nvmlDeviceGetRemappedRows", handle)
    if rows is not None:
        _, _, pending, failure = rows
        found += [(Health.FAILED, "row_remap_failure")] if failure else []
        found += [(Health.DEGRADED, "row_remap_pending")] if pending else []
    return found


def _mig(question: _Question, handle: Any) -> tuple[dict[str, Any], ...] | None:
    mode = question.ask("nvmlDeviceGetMigMode", handle)
    if mode is None or mode[0] != MIG_ON:
        return None
    found = []
    for index in range(question.ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        instance = question.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        if instance is None:
            continue
        shape = question.ask("nvmlDeviceGetAttributes", instance)
        found.append(
            {
                "gpu_instance": question.ask("nvmlDeviceGetGpuInstanceId", instance),
                "profile": f"{shape.gpuInstanceSliceCount}g.{math.ceil(shape.memorySizeMB / 1024)}gb"
                if shape
                else None,
                "uuid": _text(question.ask("nvmlDeviceGetUUID", instance)),
            }
        )
    return tuple(found)


def _mib(memory: Any, name: str) -> float | None:
    value = getattr(memory, name, None)
    return None if value is None else value / MIB


def _text(value: Any) -> str | None:
    """Old releases of the library answer with bytes."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text or None
