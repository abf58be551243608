# SPDX-License-Identifier: Apache-2.0
"""Closing and opening devices and hosts: what the operator wants of them, and what that does to their accelerators.

    after = status.with_device(before, device_uuid, DeviceStatus.MAINTAINING)
    effect = status.effect(before, after, device_uuid)      # free 3 -> 0, one is held: refused unless it may drain

What is held stays held, whatever the status; it is not given out again afterwards. A device that could not be made
ready for a guest is closed in the same sense, until it is seen to work.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cyborg.domain import errors, health, inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Of a device's status: ``before`` and ``after`` count its accelerators by state, ``holders`` the held ones."""

    device_uuid: str
    status: inventory.DeviceStatus
    before: Mapping[str, int]
    after: Mapping[str, int]
    holders: int

    @property
    def refusal(self) -> str | None:
        """Why closing the device needs the word that it may drain; None when nobody holds anything of it."""
        if self.status is inventory.DeviceStatus.ENABLED or not self.holders:
            return None
        return (
            f"Device {self.device_uuid} is in use: {self.holders} of its accelerators are held. "
            "Release them first, or disable it with drain: what is held stays held then, and nothing new is given out."
        )


def with_device(host: inventory.Host, device_uuid: str, status: inventory.DeviceStatus) -> inventory.Host:
    """``host`` with that status of one device; NotFound. To enable it clears what is held against its health."""
    if all(device.uuid != device_uuid for device in host.devices):
        raise errors.NotFound(f"There is no device {device_uuid}.")
    return _with(host, device_uuid, lambda device: _set(device, status))


def _set(device: inventory.Device, status: inventory.DeviceStatus) -> inventory.Device:
    pardoned = status is inventory.DeviceStatus.ENABLED
    device = device.with_standing(health.pardoned(device.standing)) if pardoned else device
    return dataclasses.replace(device, status=status)


def failed_at_work(
    host: inventory.Host, device_uuid: str, moment: int, rules: health.Rules = health.DEFAULT_RULES
) -> inventory.Host:
    """``host`` with what that says of the device's health; otherwise the next server would get the same unit again."""
    return _with(
        host, device_uuid, lambda device: device.with_standing(health.failed_at_work(device.standing, moment, rules))
    )


def effect(before: inventory.Host, after: inventory.Host, device_uuid: str) -> Effect:
    """What the change of one device from ``before`` to ``after`` does."""
    status = next(device.status for device in after.devices if device.uuid == device_uuid)
    holders = sum(1 for device, _, unit in after.units() if device.uuid == device_uuid and unit.holder)
    return Effect(
        device_uuid=device_uuid,
        status=status,
        before=_states(before, device_uuid),
        after=_states(after, device_uuid),
        holders=holders,
    )


def _with(
    host: inventory.Host, device_uuid: str, change: Callable[[inventory.Device], inventory.Device]
) -> inventory.Host:
    devices = tuple(change(device) if device.uuid == device_uuid else device for device in host.devices)
    return dataclasses.replace(host, devices=devices)


def _states(host: inventory.Host, device_uuid: str) -> dict[str, int]:
    found = Counter(str(device.state(unit)) for device, _, unit in host.units() if device.uuid == device_uuid)
    return {str(state): found[str(state)] for state in inventory.AcceleratorState}
