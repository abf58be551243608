# SPDX-License-Identifier: Apache-2.0
"""Images made from what they say, right or wrong: every field can be given another value.

gbs()                                     one that is accepted
gbs({"version": 3})                       other metadata
enveloped(gbs(), kind=0)                  signed, as an image that is not for a region
xclbin(mode=4, sections=[(0, b"bits")])
"""

import hashlib
import json
import struct
from collections.abc import Sequence
from typing import Any

REGION = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
FUNCTION = "11223344-5566-7788-99aa-bbccddeeff00"
PLATFORM = "xilinx_u250_gen3x16_base_3"
PAYLOAD = bytes(range(48))
BITSTREAM, MEMORY, LAYOUT = 0, 6, 8


def plain(identity: str) -> str:
    return identity.replace("-", "")


def cluster(function: Any = FUNCTION, **changes: Any) -> dict[str, Any]:
    return {"name": "adder", "total-contexts": 1, "accelerator-type-uuid": function, **changes}


def metadata(**changes: Any) -> dict[str, Any]:
    """With ``changes`` to the object of the image; None takes a member away."""
    image = {"magic-no": 488605312, "interface-uuid": REGION, "power": 0, "accelerator-clusters": [cluster()]} | changes
    kept = {name: value for name, value in image.items() if value is not None}
    return {"version": 1, "platform-name": "PAC", "afu-image": kept}


def gbs(about: Any = None, *, payload: bytes = PAYLOAD, length: int | None = None) -> bytes:
    """``about`` is an object, or the bytes that stand in its place; ``length`` is what the header says of them."""
    text = about if isinstance(about, bytes) else json.dumps(metadata() if about is None else about).encode()
    said = len(text) if length is None else length
    return b"XeonFPGA\xb7GBSv001" + struct.pack("<I", said) + text + payload


def enveloped(inner: bytes, *, kind: int = 2, length: int | None = None, of: bytes | None = None) -> bytes:
    """``of`` is what the digests are of."""
    signed = inner if of is None else of
    said = len(inner) if length is None else length
    head = struct.pack("<IIBBB5x", 0xB6EAFD19, said, kind, 0, 0)
    digests = hashlib.sha256(signed).digest() + hashlib.sha384(signed).digest()
    return (head + digests).ljust(128, b"\0") + b"\xa5" * 896 + inner


def layout(*kernels: tuple[int, bytes], count: int | None = None) -> bytes:
    """Of ``(type, name)``; type 1 is a kernel."""
    entries = (struct.pack("<IIQ64s", kind, 0, 0, name) for kind, name in kernels)
    return struct.pack("<i4x", len(kernels) if count is None else count) + b"".join(entries)


def memory(banks: int, count: int | None = None) -> bytes:
    return struct.pack("<i4x", banks if count is None else count) + bytes(40 * banks)


SECTIONS: Sequence[tuple[int, bytes]] = (
    (BITSTREAM, PAYLOAD),
    (MEMORY, memory(1)),
    (LAYOUT, layout((1, b"adder:adder_1"), (0, b"axi"))),
)


def xclbin(
    sections: Sequence[tuple[int, bytes]] = SECTIONS,
    *,
    magic: bytes = b"xclbin2\0",
    signature: bytes = b"",
    signature_length: int | None = None,
    length: int | None = None,
    mode: int = 1,
    rom_time: int = 0,
    region: str | None = REGION,
    platform: bytes = PLATFORM.encode(),
    function: str | None = FUNCTION,
    count: int | None = None,
    first_offset: int | None = None,
    first_size: int | None = None,
) -> bytes:
    """A section without bytes is one that is absent. ``first_...`` are what is said of the first section."""
    table: list[bytes] = []
    body: list[bytes] = []
    end = 456 + 40 * len(sections)
    for number, (kind, data) in enumerate(sections):
        offset, size = (end, len(data)) if data else (0, 0)
        if number == 0:
            offset = offset if first_offset is None else first_offset
            size = size if first_size is None else first_size
        table.append(struct.pack("<I16s4xQQ", kind, b"section", offset, size))
        body.append(data.ljust(-(-len(data) // 8) * 8, b"\0"))
        end += len(body[-1])
    said = len(signature) or -1
    header = struct.pack(
        "<8si28s256s8xQQQHBBHH16s64s16s16xI4x",
        magic,
        said if signature_length is None else signature_length,
        b"\xff" * 28,
        b"\xff" * 256,
        end if length is None else length,
        1_700_000_000,
        rom_time,
        0,
        2,
        14,
        mode,
        0,
        bytes.fromhex(plain(region)) if region else bytes(16),
        platform,
        bytes.fromhex(plain(function)) if function else bytes(16),
        len(sections) if count is None else count,
    )
    return b"".join([header, *table, *body, signature])
