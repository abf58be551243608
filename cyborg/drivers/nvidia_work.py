# SPDX-License-Identifier: Apache-2.0
"""What is done on the host for one NVIDIA unit: a VF is given its type, a left-over mediated device is removed.

Mediated devices are made by the hypervisor, with the unit's uuid, so there is nothing to prepare. Taking a virtual GPU
apart is also what cleans it: the host's driver clears its memory. Whole cards and plain VFs are reset.
"""

from cyborg.domain import errors, report
from cyborg.domain.host_work import Unit
from cyborg.drivers import actions, conflicts, nvidia_vgpu, pci_reset, pci_work
from cyborg.drivers.host import Host
from cyborg.drivers.pci_function import PciFunction

#: Drivers that lose a card which is reset under them.
REBIND = ("nvidia", "nouveau")
NONE = 0


def prepare(host: Host, unit: Unit) -> None:
    wanted = _type(unit)
    if wanted is None:
        return
    vf = _vf(host, unit)
    siblings = vf.physfn.virtfns.values() if vf.physfn else (vf,)
    why = conflicts.vgpu_type(
        vf.address,
        wanted,
        types={one.address: nvidia_vgpu.current(one) for one in siblings},
        possible=dict(nvidia_vgpu.creatable(vf)).keys(),
        held=unit.held,
    )
    if why:
        raise errors.InUse(f"{vf.address} cannot become a virtual GPU of type {wanted}: {why}.")
    if nvidia_vgpu.current(vf) == NONE:
        _write(host, vf, wanted)


def clean(host: Host, unit: Unit) -> None:
    if unit.type is report.HandleType.MDEV or _type(unit) is not None:
        pci_work.card(host, unit)
        release(host, unit)
    else:
        pci_reset.clean(host, unit, rebind=REBIND)


def release(host: Host, unit: Unit) -> None:
    if unit.type is report.HandleType.MDEV:
        pci_work.remove_mdev(host, unit)
        return
    wanted = _type(unit)
    if wanted is None:
        return
    try:
        vf = _vf(host, unit)
    except errors.NotFound:
        return
    if nvidia_vgpu.current(vf) == wanted:
        _write(host, vf, NONE)


def _type(unit: Unit) -> int | None:
    number = unit.info.get("vgpu_type")
    return int(number) if number and number.isdecimal() else None


def _vf(host: Host, unit: Unit) -> PciFunction:
    vf = pci_work.function(pci_work.card(host, unit), unit)
    if vf is None or nvidia_vgpu.current(vf) is None:
        raise errors.NotFound(
            f"{unit.key} of the card {unit.address} is not there, or takes no type. Switch its VFs on: sriov-manage -e."
        )
    return vf


def _write(host: Host, vf: PciFunction, number: int) -> None:
    """What counts is what can be read back: some releases answer with an error and have done it."""
    try:
        with pci_work.refusals(f"make {vf.address} a virtual GPU of type {number}"):
            host.act(actions.VGPU_TYPE, vf.address, str(number))
    except errors.DriverError:
        if nvidia_vgpu.current(vf) != number:
            raise
    if nvidia_vgpu.current(vf) != number:
        raise errors.DriverError(
            f"{vf.address} was to be of vGPU type {number} and is {nvidia_vgpu.current(vf)}. See the kernel's log."
        )
