# SPDX-License-Identifier: Apache-2.0
"""A virtual host of the RabbitMQ server: Nova's queues have the same names in every cloud.

with broker.virtual_host("rabbit://guest:guest@127.0.0.1:5672/") as transport_url:
    ...
"""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


@contextmanager
def virtual_host(url: str) -> Iterator[str]:
    """The URL of an empty one for the user in ``url``; gone afterwards. Takes rabbitmqctl, and the right to use it."""
    name = f"nova-{uuid.uuid4().hex[:8]}"
    server = urlsplit(url)
    _ctl("add_vhost", name)
    try:
        _ctl("set_permissions", "-p", name, server.username or "guest", ".*", ".*", ".*")
        yield server._replace(path=f"/{name}").geturl()
    finally:
        _ctl("delete_vhost", name)


def _ctl(*arguments: str) -> None:
    subprocess.run(["rabbitmqctl", "-q", *arguments], check=True, stdout=subprocess.DEVNULL)
