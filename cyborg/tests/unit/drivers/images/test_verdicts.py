# SPDX-License-Identifier: Apache-2.0
"""What is found in images that are accepted, and why others are refused."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cyborg.drivers import images
from cyborg.tests.unit.drivers.images import builders
from cyborg.tests.unit.drivers.images.builders import FUNCTION, REGION, cluster, enveloped, gbs, metadata, plain, xclbin

ALL = frozenset(images.Format)
GOLDEN = yaml.safe_load(Path(__file__).with_name("golden.yaml").read_text(encoding="utf-8"))
DEEP = b'{"version": 1, "afu-image": ' + b"[" * 10000 + b"]" * 10000 + b"}"
FOUND = {
    "format": "gbs",
    "region": plain(REGION),
    "functions": [plain(FUNCTION)],
    "payload_size": len(builders.PAYLOAD),
    "signed": False,
}
XCLBIN_FOUND = {
    "format": "xclbin",
    "region": plain(REGION),
    "functions": [plain(FUNCTION)],
    "platform": builders.PLATFORM,
    "mode": 1,
    "sections": [0, 6, 8],
    "kernels": ["adder:adder_1"],
    "signed": False,
}


def judge(data: bytes, formats: frozenset[images.Format] = ALL) -> dict[str, Any]:
    return images.describe(images.judge(io.BytesIO(data), formats))


def _text(**changes: Any) -> bytes:
    return json.dumps(metadata(**changes)).encode()


ACCEPTED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain": (gbs(), {}),
    "signed": (enveloped(gbs()), {"signed": True}),
    "version 640": (gbs(metadata() | {"version": 640}), {}),
    "version 650": (gbs(metadata() | {"version": 650}), {}),
    "identities in capitals": (gbs(metadata(**{"interface-uuid": REGION.upper()})), {}),
    "identities without dashes": (gbs(metadata(**{"interface-uuid": plain(REGION)})), {}),
    "without a magic number": (gbs(metadata(**{"magic-no": None})), {}),
    "clocks as number and as text": (
        gbs(metadata(**{"clock-frequency-low": 156.25, "clock-frequency-high": "auto-300"})),
        {},
    ),
    "two functions": (
        gbs(metadata(**{"accelerator-clusters": [cluster(), cluster(REGION)]})),
        {"functions": [plain(FUNCTION), plain(REGION)]},
    ),
    "one byte of payload": (gbs(payload=b"\0"), {"payload_size": 1}),
    "brackets in a text are not depth": (gbs(metadata() | {"platform-name": "[" * 500 + '\\"{'}), {}),
    "what is not known is left alone": (gbs(metadata(**{"afu-top-interface": {"class": "ccip"}})), {}),
}

XCLBINS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "xclbin": (xclbin(), {}),
    "xclbin, signed": (xclbin(signature=b"\x30" * 70), {"signed": True}),
    "a name that fills its field": (xclbin(platform=b"p" * 64), {"platform": "p" * 64}),
    "flat, without a region": (xclbin(mode=0, region=None), {"mode": 0, "region": None}),
    "an old platform, known by its time stamp": (xclbin(region=None, rom_time=1_500_000_000), {"region": None}),
    "tandem": (xclbin(mode=3), {"mode": 3}),
    "a device image": (xclbin([(18, b"pdi")]), {"sections": [18], "kernels": []}),
    "a partial device image": (xclbin([(19, b"pdi")]), {"sections": [19], "kernels": []}),
    "an absent section": (xclbin([(0, b"bits"), (22, b"")]), {"sections": [0], "kernels": []}),
    "kinds that are not known": (xclbin([(0, b"bits"), (99, b"?")]), {"sections": [0, 99], "kernels": []}),
    "a name that is no text": (
        xclbin([(0, b"bits"), (8, builders.layout((1, b"\xff:1")))]),
        {"sections": [0, 8], "kernels": ["\ufffd:1"]},
    ),
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "too_short"),
    "a few bytes": (b"hello", "too_short"),
    "something else": (b"#!/bin/sh\n" * 10, "bad_magic"),
    "an ELF file": (b"\x7fELF" + bytes(60), "bad_magic"),
    "the form before GBS": (b"\x80\x86\x1f\x1d" + bytes(60), "bad_magic"),
    "half a header": (gbs()[:19], "too_short"),
    "no metadata": (gbs(b""), "metadata_length"),
    "metadata of one byte": (gbs(b"7"), "metadata_length"),
    "metadata longer than the file": (gbs(length=0xFFFFFFFF), "metadata_length"),
    "metadata of more than a megabyte": (gbs(b"[" + b" " * (1 << 20) + b"]"), "metadata_length"),
    "no payload": (gbs(payload=b""), "empty_payload"),
    "single quotes": (gbs(b"{'version': 1}"), "metadata_json"),
    "a zero byte at the end": (gbs(_text() + b"\0"), "metadata_json"),
    "no UTF-8": (gbs(b'{"version": "\xff"}'), "metadata_json"),
    "a byte order mark": (gbs(b"\xef\xbb\xbf" + _text()), "metadata_json"),
    "no object": (gbs([1]), "metadata_json"),
    "too deep": (gbs(DEEP), "metadata_json"),
    "a member twice": (gbs(_text().replace(b'"version": 1', b'"version": 1, "version": 1')), "metadata_json"),
    "a number that is none": (gbs(_text().replace(b'"power": 0', b'"power": NaN')), "metadata_json"),
    "a number of ten thousand digits": (
        gbs(_text().replace(b'"power": 0', b'"power": ' + b"9" * 10000)),
        "metadata_json",
    ),
    "power as a word": (gbs(metadata(power="much")), "metadata_json"),
    "no image": (gbs({"version": 1}), "metadata_json"),
    "an image that is a list": (gbs(metadata() | {"afu-image": []}), "metadata_json"),
    "clusters that are an object": (gbs(metadata(**{"accelerator-clusters": {}})), "metadata_json"),
    "a cluster that is text": (gbs(metadata(**{"accelerator-clusters": ["x"]})), "metadata_json"),
    "no version": (gbs({"afu-image": {}}), "metadata_version"),
    "an unknown version": (gbs(metadata() | {"version": 2}), "metadata_version"),
    "a version that is a truth value": (gbs(metadata() | {"version": True}), "metadata_json"),
    "another magic number": (gbs(metadata(**{"magic-no": 1})), "metadata_magic"),
    "no region": (gbs(metadata(**{"interface-uuid": None})), "no_region"),
    "a region of zeros": (gbs(metadata(**{"interface-uuid": "0" * 32})), "no_region"),
    "a region in braces": (gbs(metadata(**{"interface-uuid": "{" + REGION + "}"})), "no_region"),
    "a region of half a UUID": (gbs(metadata(**{"interface-uuid": plain(REGION)[:16]})), "no_region"),
    "no clusters": (gbs(metadata(**{"accelerator-clusters": None})), "no_function"),
    "an empty list of clusters": (gbs(metadata(**{"accelerator-clusters": []})), "no_function"),
    "a function of zeros": (gbs(metadata(**{"accelerator-clusters": [cluster("0" * 32)]})), "no_function"),
    "one function of two is none": (gbs(metadata(**{"accelerator-clusters": [cluster(), cluster(7)]})), "no_function"),
    "half an envelope": (enveloped(gbs())[:1000], "too_short"),
    "a signed static region": (enveloped(gbs(), kind=0), "image_type"),
    "firmware of the board": (enveloped(gbs(), kind=1), "image_type"),
    "an envelope that says less": (enveloped(gbs(), length=7), "length"),
    "a changed payload": (enveloped(gbs(payload=b"evil"), of=gbs(payload=b"good")), "digest"),
    "an envelope with something else": (enveloped(b"\x7fELF" + bytes(60)), "bad_magic"),
    "an envelope in an envelope": (enveloped(enveloped(gbs())), "bad_magic"),
    "an old xclbin": (xclbin(magic=b"xclbin0\0"), "bad_magic"),
    "half an xclbin header": (xclbin()[:455], "too_short"),
    "a cut xclbin": (xclbin()[:-1], "length"),
    "bytes behind the end": (xclbin() + b"\0", "length"),
    "a signature that is not there": (xclbin(signature_length=8), "length"),
    "a signature without a length": (xclbin(signature=b"s" * 64, signature_length=-1), "length"),
    "a signature of nothing": (xclbin(signature_length=0), "length"),
    "a signature of less than nothing": (xclbin(signature_length=-2), "length"),
    "no sections": (xclbin(count=0), "section_count"),
    "too many sections": (xclbin(count=65537), "section_count"),
    "a table beyond the end": (xclbin(count=65536), "section_count"),
    "a section beyond the end": (xclbin(first_offset=1 << 20), "section_bounds"),
    "a section in the header": (xclbin(first_offset=8), "section_bounds"),
    "an end that wraps around": (xclbin(first_offset=(1 << 64) - 8, first_size=16), "section_bounds"),
    "a size that wraps around": (xclbin(first_size=(1 << 64) - 1), "section_bounds"),
    "hardware emulation": (xclbin(mode=4), "emulation"),
    "software emulation": (xclbin(mode=5), "emulation"),
    "emulated reconfiguration": (xclbin(mode=6), "emulation"),
    "a mode of its own": (xclbin(mode=7), "mode"),
    "nothing to load": (xclbin([(6, builders.memory(1))]), "no_bitstream"),
    "a bitstream without bytes": (xclbin([(0, b""), (6, builders.memory(1))]), "no_bitstream"),
    "no identity": (xclbin(function=None), "no_function"),
    "neither region nor time stamp": (xclbin(region=None), "no_region"),
    "more kernels than fit": (xclbin([(0, b"bits"), (8, builders.layout(count=3))]), "section_content"),
    "less than no kernels": (xclbin([(0, b"bits"), (8, builders.layout(count=-1))]), "section_content"),
    "more memory than fits": (xclbin([(0, b"bits"), (6, builders.memory(1, count=2))]), "section_content"),
    "half a count": (xclbin([(0, b"bits"), (6, b"\1\0")]), "section_content"),
    "two layouts": (xclbin([(0, b"bits"), (8, builders.layout()), (8, builders.layout())]), "section_content"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_gbs_is_accepted_with_what_was_found(name: str) -> None:
    data, changes = ACCEPTED[name]
    assert judge(data) == {"accept": True, "found": FOUND | changes}


@pytest.mark.parametrize("name", XCLBINS)
def test_an_xclbin_is_accepted_with_what_was_found(name: str) -> None:
    data, changes = XCLBINS[name]
    assert judge(data) == {"accept": True, "found": XCLBIN_FOUND | changes}


@pytest.mark.parametrize("name", REFUSED)
def test_an_image_is_refused_with_its_reason(name: str) -> None:
    data, reason = REFUSED[name]
    verdict = judge(data)
    assert (verdict["accept"], verdict["reason"]) == (False, reason)
    assert verdict["message"].endswith(".")
    assert len(verdict["message"]) < 400


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_an_image_that_was_kept_gets_its_verdict(case: dict[str, Any]) -> None:
    verdict = judge(base64.b64decode(case["base64"]))
    assert verdict["accept"] is case["accept"]
    assert verdict.get("found") == case.get("found")
    assert verdict.get("reason") == case.get("reason")


@pytest.mark.parametrize(
    ("data", "other"),
    [(gbs(), images.Format.XCLBIN), (enveloped(gbs()), images.Format.XCLBIN), (xclbin(), images.Format.GBS)],
)
def test_an_image_for_other_cards_is_named(data: bytes, other: images.Format) -> None:
    verdict = judge(data, frozenset({other}))
    assert verdict["reason"] == "bad_magic"
    assert "in format" in verdict["message"]


def test_the_payload_can_be_found_in_the_file() -> None:
    for data in (gbs(), enveloped(gbs())):
        found = images.judge(io.BytesIO(data), ALL)
        assert isinstance(found, images.Gbs)
        assert data[found.payload_offset :] == builders.PAYLOAD
        assert found.payload_size == len(builders.PAYLOAD)
