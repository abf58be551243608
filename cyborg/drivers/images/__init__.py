# SPDX-License-Identifier: Apache-2.0
"""Images for FPGAs: judged from their bytes alone, before anything is done with them.

    verdict = images.inspect(Path("hello.gbs"), frozenset({images.Format.GBS}))
    if isinstance(verdict, images.Refusal):
        verdict.reason              "metadata_length", for programs
        verdict.message             for people
    else:
        verdict.functions           ("d8424dc4a4a3c413f89e433683f9040b",)
        images.misfit(verdict, device, unit)      None, or the Refusal that says why it must not go into that region

What an image says of itself decides what a guest may do, so it is believed only where it is consistent: every length
and offset is checked against the size, metadata is parsed strictly, and what two readers could understand in two ways
is refused. Any bytes whatever give a verdict, never an exception, and an image of gigabytes takes little memory.

A format is a module with ``MAGICS``, which files begin with, and ``read(window)``; `inspection` knows them all.
"""

from cyborg.drivers.images.fit import misfit
from cyborg.drivers.images.inspection import describe, inspect, judge
from cyborg.drivers.images.verdict import Format, Gbs, Image, Refusal, Verdict, Xclbin

__all__ = ["Format", "Gbs", "Image", "Refusal", "Verdict", "Xclbin", "describe", "inspect", "judge", "misfit"]
