# SPDX-License-Identifier: Apache-2.0
"""What would be taken from others by a piece of host work, worked out before anything is touched.

Each of these looks at values only and returns why not, or None:

    vf_count("0000:3b:00.0", existing=[], held=frozenset({"0000:3b:00.0"}))      "0000:3b:00.0 is held whole"
    vgpu_type("0000:3b:00.4", 1148, types={"0000:3b:00.5": 1147}, possible=[1147], held=frozenset({"0000:3b:00.5"}))
                                                            "0000:3b:00.5 is held as a virtual GPU of type 1147"
"""

from collections.abc import Collection, Mapping

from cyborg.drivers.pci_function import FOR_GUESTS


def vf_count(pf: str, existing: Collection[str], held: frozenset[str]) -> str | None:
    """Why the number of VFs of a PF cannot be set: it would need a zero first, and take away those that exist."""
    if pf in held:
        return f"{pf} is held whole"
    taken = sorted(held & set(existing))
    if taken:
        return f"{pf} has other virtual functions, and {taken[0]} is held"
    return f"{pf} has {len(existing)} other virtual functions already" if existing else None


def vf_removal(existing: Mapping[str, str | None], wanted: int, held: frozenset[str]) -> str | None:
    """Why VFs, given with their drivers, must stay: one is held or in use, or they are not those that were made."""
    for address, driver in sorted(existing.items()):
        if address in held:
            return f"{address} is held"
        if driver is not None:
            return f"{address} is bound to {driver}"
    return None if len(existing) == wanted else f"{len(existing)} exist and {wanted} were to be made"


def vgpu_type(
    vf: str, wanted: int, types: Mapping[str, int | None], possible: Collection[int], held: frozenset[str]
) -> str | None:
    """Why a VF cannot get a type. ``types`` are those that the card's VFs have now, ``possible`` what this one takes.

    Cards that can mix types say so by what is ``possible``.
    """
    own = types.get(vf)
    if vf in held:
        return f"{vf} is held by another request"
    if own == wanted or (not own and wanted in possible):
        return None
    if own:
        return f"{vf} is a virtual GPU of type {own} already, made by somebody else"
    others = {address: number for address, number in sorted(types.items()) if number}
    taken = {address: number for address, number in others.items() if address in held}
    for address, number in [*taken.items(), *others.items()]:
        return f"{address} is {'held as ' if address in held else ''}a virtual GPU of type {number}"
    return f"{vf} does not take type {wanted} now"


def bus_reset(neighbours: Mapping[str, str | None], held: frozenset[str]) -> str | None:
    """Why what hangs below a bridge cannot be reset together: one of it, given with its driver, is in use."""
    for address, driver in neighbours.items():
        if address in held:
            return f"{address} there is held"
        if driver not in FOR_GUESTS:
            return f"{address} there is used by the host's driver {driver}"
    return None


def reach(siblings: Collection[str], held: frozenset[str]) -> str | None:
    """Why something must not be done that reaches every function of a card."""
    taken = sorted(held & set(siblings))
    return f"it reaches {taken[0]}, which is held" if taken else None
