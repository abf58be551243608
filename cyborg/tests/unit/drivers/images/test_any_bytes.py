# SPDX-License-Identifier: Apache-2.0
"""Whatever the bytes are, there is a verdict, and it takes little memory."""

import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyborg.drivers import images
from cyborg.tests.unit.drivers.images.builders import enveloped, gbs, xclbin

ALL = frozenset(images.Format)
VALID = {"gbs": gbs(), "signed": enveloped(gbs()), "xclbin": xclbin(), "signed xclbin": xclbin(signature=b"s" * 64)}
MEBI = 1 << 20


def judge(data: bytes) -> images.Verdict:
    verdict = images.judge(io.BytesIO(data), ALL)
    assert set(images.describe(verdict)) in ({"accept", "found"}, {"accept", "reason", "message"})
    return verdict


@pytest.mark.parametrize("name", VALID)
def test_an_image_that_ends_early_is_refused_wherever_it_ends(name: str) -> None:
    data = VALID[name]
    payload = {"gbs": len(data) - 48}.get(name, len(data))
    for end in range(len(data)):
        # Nothing says how long the bitstream of a plain GBS is.
        assert isinstance(judge(data[:end]), images.Refusal) or end > payload


@pytest.mark.parametrize("name", VALID)
def test_an_image_with_any_byte_changed_gets_a_verdict(name: str) -> None:
    data = VALID[name]
    for place in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            judge(data[:place] + bytes([data[place] ^ change]) + data[place + 1 :])


def test_what_is_in_an_envelope_cannot_be_changed() -> None:
    data = VALID["signed"]
    for place in range(1024, len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        verdict = judge(changed)
        assert isinstance(verdict, images.Refusal)
        assert verdict.reason == "digest"


@given(st.binary(max_size=2000))
@settings(max_examples=100, deadline=None)
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    assert isinstance(judge(data), images.Refusal)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_bytes_in_an_image_get_a_verdict(data: st.DataObject) -> None:
    image = bytearray(data.draw(st.sampled_from(sorted(VALID.values()))))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(image)))
        end = data.draw(st.integers(start, min(len(image), start + 40)))
        image[start:end] = data.draw(st.binary(max_size=40))
    judge(bytes(image))


MEMBERS = ("version", "afu-image", "interface-uuid", "accelerator-clusters", "power", "name")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
@settings(max_examples=100, deadline=None)
def test_any_metadata_gets_a_verdict(about: object) -> None:
    judge(gbs(about))


@pytest.mark.parametrize("family", ["xclbin", "gbs", "signed"])
def test_an_image_of_any_size_takes_little_memory(tmp_path: Path, family: str) -> None:
    """Files with holes: two gigabytes that are looked up, and 64 megabytes of which a digest is made."""
    size = 2048 * MEBI
    head = {
        "xclbin": xclbin(length=size, first_offset=1 << 20, first_size=size - MEBI),
        "gbs": gbs(),
        "signed": enveloped(gbs(), length=64 * MEBI - 1024),
    }[family]
    file = tmp_path / "image"
    with file.open("wb") as opened:
        opened.write(head)
        opened.truncate(64 * MEBI if family == "signed" else size)
    tracemalloc.start()
    try:
        verdict = images.inspect(file, ALL)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert images.describe(verdict).get("reason") == {"signed": "digest"}.get(family)
    assert peak < 4 * MEBI


def test_an_xclbin_of_as_many_sections_as_there_can_be_is_judged() -> None:
    verdict = judge(xclbin([(0, b"bits")] * 65536))
    assert isinstance(verdict, images.Xclbin)
    assert len(verdict.sections) == 65536
