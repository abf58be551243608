# SPDX-License-Identifier: Apache-2.0
"""xclbin (also called axlf), the images of Xilinx's FPGA cards.

    0     8  xclbin2<00>                            336   16  interface of the platform; zero on old ones
    8     4  length of the signature at the end,    352   64  name of the platform
             -1 without                             416   16  identity of this image
    304   8  length without the signature           448    4  number of sections
    332   2  mode                                   456   40  for each section: kind, name, offset, size

Integers are little-endian. Older files begin with xclbin0, and are not read by anything that is still in use.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cyborg.drivers.images.verdict import Format, Refused, Xclbin
from cyborg.drivers.images.window import Window

FORMAT = Format.XCLBIN
MAGIC = b"xclbin2\0"
MAGICS = (MAGIC,)

HEADER = struct.Struct("<8si28x256x8xQ8xQ4xH2x16s64s16s16xI4x")
SECTION = struct.Struct("<I16x4xQQ")
UNSIGNED = -1
MOST_SECTIONS = 65536

FLAT = 0
#: Flat, partial reconfiguration, and two of tandem; what follows is for simulators.
MODES = range(4)
EMULATION = (4, 5, 6)
#: Bitstream, and the two kinds of programmable device image.
LOADABLE = frozenset({0, 18, 19})

MEMORY_TOPOLOGY, IP_LAYOUT = 6, 8
COUNT = struct.Struct("<i4x")
#: What a table of so many entries takes for each.
ENTRY_SIZES = {MEMORY_TOPOLOGY: 40, IP_LAYOUT: 80}
MOST_ENTRIES = 65536
IP = struct.Struct("<I12x64s")
KERNEL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    kind: int
    offset: int
    size: int


def read(window: Window) -> Xclbin:
    """Raises Refused."""
    header = window.piece(0, HEADER.size, "the header")
    _, signature, length, rom_time, mode, interface, platform, identity, count = HEADER.unpack(header)
    _check_length(window, length, signature)
    sections = tuple(_sections(window, length, count))
    _check_mode(mode)
    if not LOADABLE & {section.kind for section in sections}:
        raise Refused("no_bitstream", "It has no section with something to load.")
    if not any(identity):
        raise Refused("no_function", "Its identity is zero, so nobody can tell what it does.")
    if not any(interface) and mode != FLAT and not rom_time:
        raise Refused("no_region", "It says neither an interface nor the time stamp of an old platform.")
    tables = _tables(window, sections)
    return Xclbin(
        format=FORMAT,
        region=interface.hex() if any(interface) else None,
        functions=(identity.hex(),),
        signed=signature != UNSIGNED,
        platform=_text(platform),
        mode=mode,
        sections=tuple(section.kind for section in sections),
        kernels=tuple(_kernels(tables.get(IP_LAYOUT, b""))),
    )


def _check_length(window: Window, length: int, signature: int) -> None:
    if signature != UNSIGNED and signature <= 0:
        raise Refused("length", f"Its header says a signature of {signature} bytes.")
    if length + max(signature, 0) != window.size:
        signed = f" and a signature of {signature}" if signature > 0 else ""
        raise Refused("length", f"Its header says {length} bytes{signed}, and the file has {window.size}.")


def _sections(window: Window, length: int, count: int) -> Iterator[_Section]:
    """Those that are there; a section without a size is absent."""
    behind = HEADER.size + count * SECTION.size
    if not 1 <= count <= MOST_SECTIONS or behind > length:
        raise Refused(
            "section_count",
            f"It says {count} sections; there must be at least one, at most {MOST_SECTIONS}, and their table must end "
            f"within its {length} bytes.",
        )
    table = window.piece(HEADER.size, behind - HEADER.size, "the table of sections")
    for number, (kind, offset, size) in enumerate(SECTION.iter_unpack(table)):
        if size and (offset < behind or offset + size > length):
            raise Refused(
                "section_bounds",
                f"Section {number} (kind {kind}) takes the bytes from {offset} to {offset + size}; it must lie between "
                f"the table of sections, which ends at {behind}, and the end at {length}.",
            )
        if size:
            yield _Section(kind=kind, offset=offset, size=size)


def _check_mode(mode: int) -> None:
    if mode in EMULATION:
        raise Refused("emulation", f"It is made for a simulator (mode {mode}), not for a card.")
    if mode not in MODES:
        raise Refused("mode", f"Its mode {mode} is not known.")


def _tables(window: Window, sections: Sequence[_Section]) -> Mapping[int, bytes]:
    """The entries of the tables that are known, by kind, each of which may be there once."""
    found: dict[int, bytes] = {}
    for section in sections:
        if section.kind in ENTRY_SIZES:
            if section.kind in found:
                raise Refused("section_content", f"It has more than one section of kind {section.kind}.")
            found[section.kind] = _entries(window, section)
    return found


def _entries(window: Window, section: _Section) -> bytes:
    what = f"Section of kind {section.kind}"
    if section.size < COUNT.size:
        raise Refused("section_content", f"{what} has {section.size} bytes, too few for a count.")
    (count,) = COUNT.unpack(window.piece(section.offset, COUNT.size, f"the count in a section of kind {section.kind}"))
    size = count * ENTRY_SIZES[section.kind]
    if not 0 <= count <= MOST_ENTRIES or COUNT.size + size > section.size:
        raise Refused("section_content", f"{what} says {count} entries, which its {section.size} bytes do not hold.")
    return window.piece(section.offset + COUNT.size, size, f"the entries of a section of kind {section.kind}")


def _kernels(layout: bytes) -> Iterator[str]:
    for kind, name in IP.iter_unpack(layout):
        if kind == KERNEL:
            yield _text(name)


def _text(padded: bytes) -> str:
    """Up to the first zero byte, of which a full field has none."""
    return padded.partition(b"\0")[0].decode("utf-8", "replace")
