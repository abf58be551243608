# SPDX-License-Identifier: Apache-2.0
"""From a file to a verdict: which format it is, by its first bytes, and what the reader of that format makes of it."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cyborg.drivers.images import gbs, xclbin
from cyborg.drivers.images.verdict import Format, Image, Refusal, Refused, Verdict
from cyborg.drivers.images.window import Window

READERS: Mapping[Format, Callable[[Window], Image]] = {Format.GBS: gbs.read, Format.XCLBIN: xclbin.read}
MAGICS = dict.fromkeys(gbs.MAGICS, Format.GBS) | dict.fromkeys(xclbin.MAGICS, Format.XCLBIN)
LONGEST = max(map(len, MAGICS))
#: Nothing shorter has even a header.
SHORTEST = min(gbs.HEADER.size, xclbin.HEADER.size)
#: What is sometimes taken for an image, and what to do about it.
KNOWN_OTHERS = {
    b"\x7fELF": "an ELF file, such as OpenCL's .aocx: take the GBS out of it first",
    b"\x80\x86\x1f\x1d": "a bitstream from before there were GBS files, which does not say its function",
    b"xclbin0\0": "an xclbin of an old version, for cards and tools of that time: build it anew",
}


def inspect(file: Path, formats: Collection[Format]) -> Verdict:
    """The verdict on a file in which one of the ``formats`` is wanted; OSError when it cannot be read."""
    with file.open("rb") as opened:
        return judge(opened, formats)


def judge(file: BinaryIO, formats: Collection[Format]) -> Verdict:
    """The same for an open file."""
    try:
        window = Window(file)
        return READERS[_format(window, formats)](window)
    except Refused as exc:
        return exc.refusal


def describe(verdict: Verdict) -> dict[str, Any]:
    """As JSON says it: ``accept`` with what was ``found``, or the ``reason`` and a ``message``."""
    if isinstance(verdict, Refusal):
        return {"accept": False, "reason": verdict.reason, "message": verdict.message}
    return {"accept": True, "found": _found(verdict)}


def _found(image: Image) -> dict[str, Any]:
    return {
        "format": str(image.format),
        "region": image.region,
        "functions": list(image.functions),
        **image.details,
        "signed": image.signed,
    }


def _format(window: Window, formats: Collection[Format]) -> Format:
    """Raises Refused for what is none of the wanted ones."""
    head = window.head(LONGEST)
    found = next((kind for magic, kind in MAGICS.items() if head.startswith(magic)), None)
    if found is not None and found in formats:
        return found
    wanted = " or ".join(sorted(formats))
    if window.size < SHORTEST:
        raise Refused("too_short", f"It has {window.size} bytes, too few for the header of {wanted}.")
    other = next((words for magic, words in KNOWN_OTHERS.items() if head.startswith(magic)), None)
    is_this = f"in format {found}" if found else other or f"nothing that is known: it begins with {head!r}"
    raise Refused("bad_magic", f"It is {is_this}. This card takes {wanted}.")
