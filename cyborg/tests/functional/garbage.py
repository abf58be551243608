# SPDX-License-Identifier: Apache-2.0
"""Tables of garbage: in the place of items, in queries, in bodies of any route, in bodies of some.

In bodies, ``{deployable_id}``, ``{arq}``, ``{provider}`` and ``{profile}`` stand for what is there. Each of the bodies
is wrong in at least one point.
"""

import uuid
from typing import Any
from urllib.parse import quote

HOST = "host-1"
PROFILE = "any-gpu"
UNKNOWN = "0f4c1c2e-94a7-4f0d-a4b0-3a5e8b0f6c11"
LONG = "x" * 300
DEEP = 5000
MEGABYTES = 10 * 1024 * 1024

#: In the place of an item: nothing there has such a name.
ITEMS = {
    "an unknown uuid": UNKNOWN,
    "no uuid": "no-uuid",
    "a uuid and more": f"{UNKNOWN}x",
    "NUL": "%00",
    "NUL after a uuid": f"{UNKNOWN}%00",
    "no UTF-8": "%ff%fe",
    "300 characters": LONG,
    "SQL": quote("' OR 1=1; --", safe=""),
    "a way out": "..%2f..%2fetc%2fpasswd",
    "letters of another script": quote("ケーキ"),
    "a number": "1",
    "a negative number": "-1",
    "a blank": "%20",
}

#: Behind the question mark of every route.
QUERIES = {
    "an unknown argument": "nonsense=1",
    "NUL": "nonsense=%00",
    "no UTF-8": "nonsense=%ff",
    "a name of 300 characters": f"{LONG}=1",
}
#: Behind that of every list; before there were pages, these arguments were unknown.
PAGES = (
    "limit=many",
    "limit=0",
    "limit=-1",
    "limit=1.5",
    f"limit={'9' * 300}",
    "limit=1&limit=2",
    "marker=1",
    "marker=%00",
    f"marker={UNKNOWN}",
    f"marker={LONG}",
    "sort_key=nonsense",
    "sort_key=id%3B",
    "sort_dir=sideways",
    f"sort_dir={LONG}",
)
QUERIES_OF: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "accelerator_requests"): (
        "instance=1",
        f"instance={UNKNOWN}&instance={UNKNOWN}",
        f"instance={LONG}",
        "instance=%00",
        "bind_state=bound",
        "bind_state=",
        "limit=-1",
    ),
    ("DELETE", "accelerator_requests"): (
        "",
        "arqs=",
        "arqs=,",
        "arqs=1",
        f"arqs={UNKNOWN}",
        f"arqs={UNKNOWN},{LONG}",
        "instance=",
        "instance=1",
        f"instance={UNKNOWN}&arqs={UNKNOWN}",
    ),
    ("GET", "attributes"): (
        "deployable_id=abc",
        "deployable_id=-1",
        "deployable_id=1.5",
        f"deployable_id={'9' * 300}",
        f"key={LONG}",
        "key=%00",
    ),
    ("GET", "deployables"): (
        "filters.field=nonsense&filters.value=1",
        "filters.field=limit&filters.value=many",
        "filters.field=limit&filters.value=0",
        "filters.field=limit&filters.value=-1",
        f"filters.field=limit&filters.value={'9' * 100}",
        "filters.field=sort_key&filters.value=nonsense",
        "filters.field=sort_dir&filters.value=sideways",
        "filters.field=limit",
        "filters.value=1",
        f"filters.field=name&filters.value={LONG}",
        "filters.field=name&filters.value=%00",
    ),
    ("DELETE", "device_profiles"): ("", "value=", "value=,", f"value={UNKNOWN}", f"value={LONG}", "name=x"),
    ("GET", "devices"): (
        f"type={LONG}",
        f"vendor={LONG}",
        f"hostname={LONG}",
        "hostname=%00",
        "type=GPU&type=FPGA",
        "filters.field=sort_key&filters.value=id%3B",
    ),
}

#: Sent as it is, to every route that reads a body.
CONTENTS: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello",
    "half an object": b'{"a": ',
    "two objects": b"{}{}",
    "null": b"null",
    "true": b"true",
    "a number": b"3",
    "a huge number": b"1e999",
    "a number of 5,000 digits": b"9" * 5000,
    "not a number": b"NaN",
    "a string": b'"text"',
    "an empty object": b"{}",
    "an empty list": b"[]",
    "a list of a number": b"[1]",
    "a list of null": b"[null]",
    "a list of lists": b"[[]]",
    "two in a list": b"[{}, {}]",
    "an unknown member": b'{"nonsense": 1}',
    "an unknown member in a list": b'[{"name": 1, "nonsense": 1}]',
    "lists 5,000 deep": b"[" * DEEP + b"]" * DEEP,
    "objects 5,000 deep": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "lists 200 deep": b"[" * 200 + b"]" * 200,
    "NUL": b"\0",
    "NUL in a name": b'{"\\u0000": "x"}',
    "NUL in a value": b'{"name": "\\u0000"}',
    "half a character": b'{"name": "\\ud800"}',
    "no UTF-8": b'{"name": "\xff"}',
    "10 MB of text": b'"' + b"x" * MEGABYTES + b'"',
    "10 MB of a list": b"[" + b"1," * (MEGABYTES // 2) + b"1]",
}
VALUES: dict[str, Any] = {
    "null": None,
    "a number": 3,
    "a negative number": -1,
    "a fraction": 1.5,
    "true": True,
    "a list": [1],
    "an object": {"a": 1},
    "no text": "",
    "NUL": "a\0b",
    "300 characters": LONG,
}


def bind(**changes: Any) -> dict[str, Any]:
    """A body that binds an unknown request, with these members in place of good ones; ... leaves one out."""
    members = {"hostname": HOST, "device_rp_uuid": UNKNOWN, "instance_uuid": UNKNOWN} | changes
    return {
        UNKNOWN: [{"op": "add", "path": f"/{name}", "value": value} for name, value in members.items() if value != ...]
    }


def profile(**changes: Any) -> list[dict[str, Any]]:
    members: dict[str, Any] = {"name": "new", "groups": [{"resources:CUSTOM_ACCELERATOR": "1"}]}
    return [{name: value for name, value in (members | changes).items() if value != ...}]


def groups(**group: Any) -> list[dict[str, Any]]:
    return profile(groups=[{name.replace("_", ":", 1): value for name, value in group.items()}])


def attribute(**changes: Any) -> dict[str, Any]:
    members = {"deployable_id": "{deployable_id}", "key": "colour", "value": "green"} | changes
    return {name: value for name, value in members.items() if value != ...}


_ADD = {"op": "add", "path": "/hostname", "value": HOST}
BINDS = [
    *({UNKNOWN: value} for value in VALUES.values()),
    *({UNKNOWN: [value]} for value in VALUES.values()),
    *({key: [_ADD]} for key in ("", "x", "a\0b", LONG)),
    *(bind(**{name: value}) for name in ("hostname", "device_rp_uuid", "instance_uuid") for value in VALUES.values()),
    *(bind(**{name: ...}) for name in ("hostname", "device_rp_uuid", "instance_uuid")),
    bind(nonsense="x"),
    bind(state="Bound"),
    bind(project_id=UNKNOWN),
    bind() | {UNKNOWN.replace("-", ""): bind()[UNKNOWN]},
    {UNKNOWN: [_ADD, _ADD]},
    {UNKNOWN: [_ADD, {"op": "remove", "path": "/instance_uuid"}]},
    {UNKNOWN: [{"op": "replace", "path": "/hostname", "value": HOST}]},
    {UNKNOWN: [{"op": ["add"], "path": "/hostname", "value": HOST}]},
    {UNKNOWN: [{"op": "add", "path": 3, "value": HOST}]},
    {UNKNOWN: [{"op": "add", "path": "/hostname"}]},
    {UNKNOWN: [{"path": "/hostname", "value": HOST}]},
    {UNKNOWN: [_ADD] * 1000},
    {str(uuid.UUID(int=number)): [_ADD] for number in range(1000)},
    bind(),
    {"{arq}": bind(hostname="no-such-host")[UNKNOWN]},
    {"{arq}": bind()[UNKNOWN]},
    {"{arq}": bind(device_rp_uuid="{provider}")[UNKNOWN], **bind(device_rp_uuid="{provider}")},
]
PROGRAMS = [
    *([value] for value in VALUES.values()),
    *([{"op": "replace", "path": "/program", "value": value}] for value in VALUES.values()),
    *([{"op": "replace", "path": "/program", "value": [{"image_uuid": value}]}] for value in VALUES.values()),
    *([{"op": "replace", "path": value, "value": [{"image_uuid": UNKNOWN}]}] for value in VALUES.values()),
    *([{"op": value, "path": "/program", "value": [{"image_uuid": UNKNOWN}]}] for value in VALUES.values()),
    [{"op": "replace", "path": "/uuid", "value": [{"image_uuid": UNKNOWN}]}],
    [{"op": "replace", "path": "/program", "value": [{"image_uuid": UNKNOWN}]}],
]
#: As JSON, for one route each; ``{deployable_id}``, ``{arq}`` and ``{provider}`` stand for what is there.
BODIES_OF: dict[tuple[str, str], list[Any]] = {
    ("POST", "accelerator_requests"): [
        *({"device_profile_name": value} for value in VALUES.values()),
        {"device_profile_name": "unknown"},
        {"device_profile_name": "' OR 1=1; --"},
        [{"device_profile_name": PROFILE}],
    ],
    ("PATCH", "accelerator_requests"): BINDS,
    ("PATCH", "accelerator_requests/{}"): BINDS,
    ("POST", "attributes"): [
        *(attribute(deployable_id=value) for value in VALUES.values()),
        *(attribute(key=value) for value in VALUES.values()),
        *(attribute(value=value) for name, value in VALUES.items() if name not in ("no text", "300 characters")),
        *(attribute(**{name: ...}) for name in ("deployable_id", "key", "value")),
        attribute(deployable_id=999_999),
        attribute(deployable_id=10**30),
        attribute(value="x" * 1_000_000),
        {"attribute": None},
        {"attribute": attribute(key=...)},
    ],
    ("PATCH", "deployables/{}/program"): PROGRAMS,
    ("PATCH", "deployables/{}/program/{}"): PROGRAMS,
    ("POST", "device_profiles"): [
        *([value] for name, value in VALUES.items() if name != "an object"),
        *(profile(name=value) for name, value in VALUES.items() if name not in ("no text", "300 characters")),
        *(profile(name=name) for name in ("a b", "ä", "a/b", "a\n", "' OR 1=1", PROFILE)),
        *(profile(uuid=value) for name, value in VALUES.items() if name != "null"),
        *(profile(description=value) for value in (3, [1], {"a": 1}, "a\0b", "x" * 100_000)),
        *(profile(groups=value) for value in VALUES.values()),
        *(profile(groups=[value]) for value in VALUES.values()),
        *(
            groups(resources_CUSTOM_X=value)
            for name, value in VALUES.items()
            if name not in ("a number", "a negative number")
        ),
        *(groups(trait_CUSTOM_X=value) for value in VALUES.values()),
        profile(groups=...),
        profile(groups=[]),
        profile(groups=[{}]),
        profile(groups=[{"nonsense": "1"}]),
        profile(groups=[{"": "1"}]),
        profile(groups=[{"resources:NONSENSE": "1"}]),
        profile(groups=[{f"resources:CUSTOM_{LONG}": "1"}]),
        profile(groups=[{"resources:CUSTOM_X": "9" * 100}]),
        profile(groups=[{"trait:NONSENSE": "required"}]),
        profile(groups=[{"trait:CUSTOM_X": "perhaps"}]),
        profile(groups=[{"resources:CUSTOM_X": "1"}] * 1000),
        profile() * 2,
        profile()[0],
    ],
}


_SWITCHES = [
    *({"dry_run": value} for name, value in VALUES.items() if name != "true"),
    *({"drain": value} for name, value in VALUES.items() if name != "true"),
    *({"generation": value} for value in VALUES.values()),
    {"nonsense": 1},
]
#: Further ones, for what the first version does not know and so ignores.
LATER_BODIES_OF: dict[tuple[str, str], list[Any]] = {
    ("POST", "devices/{}/disable"): _SWITCHES,
    ("POST", "devices/{}/enable"): [*_SWITCHES, {"drain": True}],
    ("POST", "device_profiles"): [
        *(profile(visibility=value) for value in VALUES.values()),
        *(profile(projects=value) for value in VALUES.values()),
        *(profile(projects=[value]) for name, value in VALUES.items() if name != "300 characters"),
    ],
    ("PATCH", "device_profiles/{}"): [
        {"name": "other"},
        {"uuid": UNKNOWN},
        {"nonsense": 1},
        *({"groups": value} for value in VALUES.values()),
        *({"groups": [value]} for value in VALUES.values()),
        *({"visibility": value} for value in VALUES.values()),
        *({"projects": value} for value in VALUES.values()),
        *({"generation": value, "description": "other"} for value in VALUES.values() if value is not True),
        *({"description": value} for value in (3, [1], {"a": 1}, "a\0b", "x" * 100_000)),
    ],
}
