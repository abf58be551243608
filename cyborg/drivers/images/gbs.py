# SPDX-License-Identifier: Apache-2.0
"""GBS, the images of Intel's FPGA cards, plain or in the envelope that a signature comes in.

    0    16  XeonFPGA<B7>GBSv001                    envelope, 1024 bytes in front of a GBS:
    16    4  length L of the metadata                   0    4  magic
    20    L  JSON text                                  4    4  length of the GBS
    20+L     raw bitstream, to the end                  8    1  what it is for; 2 is a region
                                                        16  32  SHA-256 of the GBS, and 48 of SHA-384

Integers are little-endian. Whether the signature is a good one is for the card, which has the keys; that the digests
are those of the GBS can be seen by anybody.
"""

import struct
from typing import Any

from cyborg.drivers.images import metadata
from cyborg.drivers.images.verdict import Format, Gbs, Refused
from cyborg.drivers.images.window import Window

FORMAT = Format.GBS
MAGIC = b"XeonFPGA\xb7GBSv001"
ENVELOPE_MAGIC = struct.pack("<I", 0xB6EAFD19)
MAGICS = (MAGIC, ENVELOPE_MAGIC)

HEADER = struct.Struct("<16sI")
ENVELOPE = struct.Struct("<4sIBBB5x32s48s")
ENVELOPE_SIZE = 1024
FOR_A_REGION = 2

LEAST_METADATA, MOST_METADATA = 2, 1 << 20
#: The number of the form, and two that were written for it.
VERSIONS = (1, 640, 650)
MAGIC_NUMBER = 488605312
NUMBER = (int, float)


def read(window: Window) -> Gbs:
    """Raises Refused."""
    signed = window.head(len(ENVELOPE_MAGIC)) == ENVELOPE_MAGIC
    inner = _unwrapped(window) if signed else window
    magic, length = HEADER.unpack(inner.piece(0, HEADER.size, "the header"))
    if magic != MAGIC:
        raise Refused("bad_magic", f"What its envelope holds begins with {magic!r} and is no GBS.")
    room = inner.size - HEADER.size
    if not LEAST_METADATA <= length <= min(MOST_METADATA, room):
        raise Refused(
            "metadata_length",
            f"Its header says {length} bytes of metadata; there must be at least {LEAST_METADATA}, at most "
            f"{MOST_METADATA}, and {room} bytes follow.",
        )
    if length == room:
        raise Refused("empty_payload", "No bitstream follows its metadata.")
    about = metadata.parse(inner.piece(HEADER.size, length, "the metadata"))
    region, functions = _identities(about)
    return Gbs(
        format=FORMAT,
        region=region,
        functions=functions,
        signed=signed,
        payload_offset=inner.start + HEADER.size + length,
        payload_size=room - length,
    )


def _unwrapped(window: Window) -> Window:
    """The GBS in the envelope, which must be one for a region and have its size and digests."""
    envelope = window.piece(0, ENVELOPE_SIZE, "the envelope of a signed image")
    _, length, kind, _, _, short_digest, long_digest = ENVELOPE.unpack_from(envelope)
    inner = window.behind(ENVELOPE_SIZE)
    if kind != FOR_A_REGION:
        raise Refused("image_type", f"Its envelope says type {kind}: not an image for a region ({FOR_A_REGION}).")
    if length != inner.size:
        raise Refused("length", f"Its envelope says {length} bytes, and {inner.size} follow.")
    if inner.digests("sha256", "sha384") != [short_digest, long_digest]:
        raise Refused("digest", "The digests in its envelope are not those of what follows: it was changed, or cut.")
    return inner


def _identities(about: Any) -> tuple[str, tuple[str, ...]]:
    """Region and functions, once the rest of the metadata is as it should be."""
    version = metadata.member(about, "version", int)
    if version not in VERSIONS:
        raise Refused("metadata_version", f"Version {version} of the metadata is not known; 1 is.")
    metadata.member(about, "platform-name", str)
    image = metadata.member(about, "afu-image", dict, required=True)
    magic_number = metadata.member(image, "magic-no", int)
    if magic_number not in (None, MAGIC_NUMBER):
        raise Refused("metadata_magic", f"Member 'magic-no' of its metadata is {magic_number}, not {MAGIC_NUMBER}.")
    metadata.member(image, "power", NUMBER)
    for name in ("clock-frequency-low", "clock-frequency-high"):
        metadata.member(image, name, (*NUMBER, str))
    region = metadata.identity(image, "interface-uuid", "no_region")
    clusters = metadata.member(image, "accelerator-clusters", list) or []
    if not clusters:
        raise Refused("no_function", "Its metadata names no accelerator, so nobody can tell what it does.")
    return region, tuple(_function(cluster) for cluster in clusters)


def _function(cluster: Any) -> str:
    metadata.member(cluster, "name", str)
    metadata.member(cluster, "total-contexts", int)
    return metadata.identity(cluster, "accelerator-type-uuid", "no_function")
