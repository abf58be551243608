# SPDX-License-Identifier: Apache-2.0
"""The version header, word by word."""

import pytest

from cyborg.api import microversions
from cyborg.domain import errors


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (None, "2.0"),
        ("", "2.0"),
        ("accelerator 2.1", "2.1"),
        ("ACCELERATOR   2.3", "2.3"),
        ("accelerator latest", str(microversions.MAX)),
        ("latest", str(microversions.MAX)),
        ("2.2", "2.2"),
        ("compute 2.90", "2.0"),
        ("compute 2.90, accelerator 2.2", "2.2"),
        ("accelerator 2.2,compute 2.90", "2.2"),
        ("compute latest", "2.0"),
    ],
)
def test_a_header_asks_for_a_version(header: str | None, version: str) -> None:
    assert str(microversions.parse(header)) == version


@pytest.mark.parametrize(
    "header",
    [
        "accelerator 2.99",
        "accelerator 1.9",
        "accelerator 3.0",
        "accelerator",
        "accelerator 2",
        "2.x",
        "accelerator 2.1 2.2",
    ],
)
def test_a_version_that_we_do_not_speak_is_refused(header: str) -> None:
    with pytest.raises(errors.NotAcceptable):
        microversions.parse(header)
