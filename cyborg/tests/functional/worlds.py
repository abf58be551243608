# SPDX-License-Identifier: Apache-2.0
"""A service with one host of three GPUs, and what its clients need to know: without Keystone, and under a real one.

with WORLDS["keystone"](directory) as world:
    openstack.connect(**world.credentials)
    CommandLine(world.environment)
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from cyborg.tests.functional import keystone_fixture, neighbours, standalone
from cyborg.tests.functional.client import Client

HOST = "gpu-1"
CARDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Who calls is an administrator; ``service_token`` is that of a service that passes the calls on."""

    url: str
    around: str
    service_token: str
    #: For openstack.connect, and the same for a command.
    credentials: Mapping[str, Any]
    environment: Mapping[str, str]
    #: What a command needs, besides, to go through ``around``.
    passed_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def provider(self) -> str:
        """The host's, in the Placement of the same process."""
        with Client(self.url) as client:
            return standalone.shown(client, HOST).provider


@contextmanager
def without_keystone(directory: Path) -> Iterator[World]:
    recording = standalone.gpu_host(directory / "host.yaml", cards=CARDS)
    arguments = (f"--simulated-host={HOST}={recording}", f"--drivers={standalone.GPU_DRIVER}", "--interval=3600")
    with standalone.Process(directory / "state", *arguments) as process:
        url = process.wait_ready()
        environment = {"OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": url, "OS_TOKEN": "admin"}
        credentials = {"auth_type": "admin_token", "auth": {"endpoint": url, "token": "admin"}}
        with neighbours.serve(url, "nova") as around:
            yield _world(url, around, "nova", credentials, environment)


@contextmanager
def with_keystone(directory: Path) -> Iterator[World]:
    recording = standalone.gpu_host(directory / "host.yaml", cards=CARDS)
    with keystone_fixture.Identity(directory) as identity:
        auth = {"auth_url": identity.url, "password": keystone_fixture.PASSWORD}
        ours = auth | {"auth_type": "password", "username": "cyborg", "project_name": "service"}
        ours |= {"user_domain_id": "default", "project_domain_id": "default", "www_authenticate_uri": identity.url}
        named = {f"OS_KEYSTONE_AUTHTOKEN__{name.upper()}": value for name, value in ours.items()}
        options = {"api": {"auth_strategy": "keystone"}}
        with (
            mock.patch.dict(os.environ, named),
            standalone.in_process(directory, {HOST: recording}, options=options) as running,
        ):
            url = running.service.url
            identity.add_endpoint("accelerator", url)
            user = {"username": "admin", "project_name": "admin"}
            user |= {"user_domain_id": "default", "project_domain_id": "default"}
            environment = {f"OS_{name.upper()}": value for name, value in (auth | user).items()}
            environment |= {"OS_AUTH_TYPE": "password", "OS_REGION_NAME": keystone_fixture.REGION}
            credentials = {
                "auth_type": "password",
                "auth": auth | user,
                "region_name": keystone_fixture.REGION,
            }
            token = identity.session("nova", "service").get_token()
            with neighbours.serve(url, token) as around:
                yield _world(url, around, token, credentials, environment)


def _world(
    url: str, around: str, service_token: str, credentials: Mapping[str, Any], environment: Mapping[str, str]
) -> World:
    overrides = {
        "OS_COMPUTE_ENDPOINT_OVERRIDE": f"{around}/compute",
        "OS_IMAGE_ENDPOINT_OVERRIDE": f"{around}/image/v2",
    }
    return World(
        url=url,
        around=around,
        service_token=service_token,
        credentials=credentials,
        environment={**environment, **overrides},
        passed_on={"OS_ACCELERATOR_ENDPOINT_OVERRIDE": f"{around}{neighbours.PASSED_ON}/v2"},
    )


WORLDS: Mapping[str, Callable[[Path], AbstractContextManager[World]]] = {
    "noauth": without_keystone,
    "keystone": with_keystone,
}
