# SPDX-License-Identifier: Apache-2.0
"""Whether an image may go into a region of a card, by what the last report says of it: no device is touched."""

from cyborg.domain import report
from cyborg.domain.host_work import Unit
from cyborg.drivers import traits
from cyborg.drivers.images.verdict import Image, Refusal, Xclbin

REGION = "_REGION_"


def misfit(image: Image, device: report.Device, unit: Unit, function: str | None = None) -> Refusal | None:
    """Why not, None when it may. ``function`` is what was asked for, if anything was, as a UUID in any spelling.

    The region is the one that ``unit`` belongs to. Nothing else of the card may be held by another request: whoever
    holds a part of it would see the rest change.
    """
    part = next((one for _, one in device.walk() if one.key == unit.part), None)
    if part is None:
        return Refusal(reason="no_such_region", message=f"{device.address} has no part {unit.part!r} any more.")
    return (
        _of_region(image, device, part)
        or _of_function(image, function)
        or _of_holders(device, unit)
        or _of_health(device)
    )


def _of_region(image: Image, device: report.Device, part: report.Deployable) -> Refusal | None:
    if image.region is None:
        return _of_platform(image, device)
    shown = sorted(trait for trait in part.traits if REGION in trait)
    if not shown:
        return Refusal(
            reason="region_unknown",
            message=f"{device.address} does not say its region now, so nobody can tell whether the image is for it.",
        )
    if not traits.identified(device.type, device.vendor, "REGION", image.region) & part.traits:
        of_card = shown[0].rpartition(REGION)[2].lower()
        return Refusal(
            reason="wrong_region",
            message=f"The image is for region {image.region}, and {device.address} has {of_card}.",
        )
    return None


def _of_platform(image: Image, device: report.Device) -> Refusal | None:
    """An image without a region is for a platform by name; the card compares the time stamps itself."""
    wanted = image.platform if isinstance(image, Xclbin) else ""
    has = device.facts.get("platform")
    if wanted and wanted == has:
        return None
    return Refusal(
        reason="wrong_platform",
        message=f"The image names no region and the platform {wanted or '(none)'}; {device.address} has "
        f"{has or 'an unknown one'}.",
    )


def _of_function(image: Image, function: str | None) -> Refusal | None:
    if function is None or function.replace("-", "").lower() in image.functions:
        return None
    return Refusal(
        reason="wrong_function",
        message=f"Function {function} was asked for, and the image has {', '.join(image.functions)}.",
    )


def _of_holders(device: report.Device, unit: Unit) -> Refusal | None:
    addresses = {one.pci_address for _, part in device.walk() for one in part.accelerators}
    held = sorted(address for address in addresses if address and address in unit.held)
    if not held:
        return None
    return Refusal(reason="in_use", message=f"{', '.join(held)} of {device.address} is held by another request.")


def _of_health(device: report.Device) -> Refusal | None:
    if device.health is not report.Health.FAILED:
        return None
    why = ", ".join(device.health_reasons) or "no reason told"
    return Refusal(reason="device_failed", message=f"{device.address} has failed ({why}).")
