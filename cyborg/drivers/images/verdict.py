# SPDX-License-Identifier: Apache-2.0
"""What is found out about an image: what it is, or why it is refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    GBS = "gbs"
    XCLBIN = "xclbin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """``reason`` is a stable word for programs, ``message`` is for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A consistent image. Identities are 32 lower-case hex digits without dashes.

    ``region`` is the interface that the image was built for, None where its format leaves that to other facts.
    ``signed`` says that there is a signature; whether it is a good one is the card's business.
    """

    format: Format
    region: str | None
    functions: tuple[str, ...]
    signed: bool

    @property
    def details(self) -> dict[str, Any]:
        """What is told of images of this format only."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gbs(Image):
    """For Intel's cards. The raw bitstream is what lies in the file at ``payload_offset``."""

    payload_offset: int
    payload_size: int

    @property
    def details(self) -> dict[str, Any]:
        return {"payload_size": self.payload_size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Xclbin(Image):
    """For Xilinx's cards. ``sections`` are the kinds of those that are there, ``kernels`` as ``kernel:instance``."""

    platform: str
    mode: int
    sections: tuple[int, ...]
    kernels: tuple[str, ...]

    @property
    def details(self) -> dict[str, Any]:
        return {
            "platform": self.platform,
            "mode": self.mode,
            "sections": list(self.sections),
            "kernels": list(self.kernels),
        }


Verdict = Image | Refusal


class Refused(Exception):
    """Ends the reading of an image; never leaves this package."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(reason=reason, message=message)
