# SPDX-License-Identifier: Apache-2.0
"""The samples of the API reference have the members and types of real requests and answers.

CYBORG_WRITE_SAMPLES=1 writes them anew instead.
"""

import json
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyborg.api import microversions
from cyborg.domain import audit
from cyborg.store import operations
from cyborg.tests import builders
from cyborg.tests.unit.api.conftest import Api, binding

SAMPLES = Path(__file__).resolve().parents[4] / "api-ref" / "source" / "samples"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
PROFILE = [
    {
        "name": "nvidia-gpu",
        "description": "One whole GPU",
        "groups": [{"resources:CUSTOM_ACCELERATOR": "1", "trait:CUSTOM_GPU_NVIDIA": "required"}],
    }
]
PROGRAM = [{"op": "replace", "path": "/program", "value": [{"image_uuid": "8bd2f5a8-9d71-4d0c-ad8b-5f2b1e0a3c11"}]}]
SERVER = "3f5a2bb4-6c0e-4a55-8a54-2f4a1d1b7e90"
PATHS = ("/hostname", "/device_rp_uuid", "/instance_uuid")


def exchange(api: Api) -> Iterator[tuple[str, Any]]:
    """(sample, what was really sent or answered), from an empty service to a bound request and back."""
    api.report(builders.mixed_host("compute-1"))
    yield "versions-get-resp", api.call("GET", "/").json
    yield "v2-get-resp", api.call("GET", "/v2").json
    yield "error-resp", api.call("GET", "/v2/devices/00000000-0000-4000-8000-000000000000").json
    yield from _hardware(api)
    yield "device-profile-create-req", PROFILE
    made = api.call("POST", "/v2/device_profiles", PROFILE, version="latest").json
    yield "device-profile-create-resp", made
    yield "device-profile-list-resp", api.call("GET", "/v2/device_profiles", version="latest").json
    path = f"/v2/device_profiles/{made['uuid']}"
    yield "device-profile-get-resp", api.call("GET", path, version="latest").json
    update = {"visibility": "private", "projects": ["5d9ee5b0a1e14ae3b3a6d3a9f4b8a111"], "generation": 0}
    yield "device-profile-update-req", update
    yield "device-profile-update-resp", api.call("PATCH", path, update, version="latest").json
    yield from _requests(api)


def _hardware(api: Api) -> Iterator[tuple[str, Any]]:
    devices = api.call("GET", "/v2/devices?limit=1", version="latest").json
    yield "device-list-resp", devices
    path = f"/v2/devices/{devices['devices'][0]['uuid']}"
    yield "device-get-resp", api.call("GET", path, version="latest").json
    disable = {"dry_run": True, "drain": True}
    yield "device-disable-req", disable
    yield "device-disable-resp", api.call("POST", f"{path}/disable", disable, version="latest").json
    listed = api.call("GET", "/v2/deployables?limit=1", version="latest").json
    yield "deployable-list-resp", listed
    deployables = listed["deployables"]
    yield "deployable-get-resp", api.call("GET", f"/v2/deployables/{deployables[0]['uuid']}", version="latest").json
    yield "deployable-program-req", PROGRAM
    assert api.call("PATCH", f"/v2/deployables/{deployables[0]['uuid']}/program", PROGRAM).status_int == 409
    listed = api.call("GET", "/v2/attributes?limit=1", version="latest").json
    yield "attribute-list-resp", listed
    attributes = listed["attributes"]
    note = {"deployable_id": attributes[0]["deployable_id"], "key": "rack", "value": "b7"}
    yield "attribute-create-req", note
    made = api.call("POST", "/v2/attributes", note).json
    yield "attribute-create-resp", made
    yield "attribute-get-resp", api.call("GET", f"/v2/attributes/{made['uuid']}").json


def _requests(api: Api) -> Iterator[tuple[str, Any]]:
    arqs = "/v2/accelerator_requests"
    wanted = {"device_profile_name": "nvidia-gpu"}
    yield "accelerator-request-create-req", wanted
    made = api.call("POST", arqs, wanted, version="latest").json
    yield "accelerator-request-create-resp", made
    one, instance = made["arqs"][0]["uuid"], str(uuid.uuid4())
    bind = binding([one], instance, "compute-1")
    yield "accelerator-request-bind-req", bind
    assert api.call("PATCH", arqs, bind, service=True).status_int == 202
    yield "accelerator-request-list-resp", api.call("GET", f"{arqs}?instance={instance}", version="latest").json
    yield "accelerator-request-get-resp", api.call("GET", f"{arqs}/{one}", version="latest").json
    yield from _held(api)
    unbind = {one: [{"op": "remove", "path": path} for path in PATHS]}
    yield "accelerator-request-unbind-req", unbind
    assert api.call("PATCH", arqs, unbind, service=True).status_int == 202


def _held(api: Api) -> Iterator[tuple[str, Any]]:
    """While something is held."""
    accelerators = api.call("GET", "/v2/accelerators?limit=1", version="latest").json
    yield "accelerator-list-resp", accelerators
    path = f"/v2/accelerators/{accelerators['accelerators'][0]['uuid']}"
    yield "accelerator-get-resp", api.call("GET", path, version="latest").json
    text = "total 9 reserved 0, and should be total 2 reserved 0"
    kind = audit.Kind.INVENTORY_DIFFERS
    api.audited("compute-1", audit.Difference(kind=kind, host="compute-1", subject="compute-1/PGPU", text=text))
    yield "host-list-resp", api.call("GET", "/v2/hosts", version="latest").json
    yield "host-get-resp", api.call("GET", "/v2/hosts/compute-1", version="latest").json
    # What is shown is gone from an empty service, so this one is made up, and answered as if it were not.
    waiting = {"owner": None, "lease_until": None, "deadline": operations.now(), "attempts": 3}
    error = "Nova cannot be reached: Connection refused."
    one = api.operation(kind="nova_events", hostname="compute-1", subject=SERVER, last_error=error, **waiting)
    yield "operation-list-resp", api.call("GET", f"/v2/operations?subject={SERVER}", version="latest").json
    yield "operation-get-resp", api.call("GET", f"/v2/operations/{one}", version="latest").json


def shape(value: Any) -> Any:
    """The members and types, without the values."""
    if isinstance(value, dict):
        return {"<uuid>" if UUID.match(key) else key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def test_each_sample_is_what_is_really_sent_and_answered(api: Api) -> None:
    real = dict(exchange(api))
    if os.environ.get("CYBORG_WRITE_SAMPLES"):
        for name, value in real.items():
            text = json.dumps(value, indent=4).replace("http://cloud:6666", "https://accelerator.example.com")
            (SAMPLES / f"{name}.json").write_text(f"{text}\n")
    stored = {path.stem: json.loads(path.read_text()) for path in SAMPLES.glob("*.json")}
    assert {name: shape(value) for name, value in stored.items()} == {name: shape(real[name]) for name in real}


def test_each_sample_is_shown_in_the_reference() -> None:
    pages = "".join(path.read_text() for path in SAMPLES.parent.glob("*.inc"))
    assert not [path.name for path in SAMPLES.glob("*.json") if f"samples/{path.name}" not in pages]


def test_the_reference_tells_what_each_version_added() -> None:
    told = " ".join((SAMPLES.parent / "versions.inc").read_text().split())
    assert not [str(version) for version, words in microversions.HISTORY.items() if f"{version} {words}" not in told]
