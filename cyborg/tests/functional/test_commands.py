# SPDX-License-Identifier: Apache-2.0
"""The commands as processes: what cannot work ends at once and says why; what works serves, survives and stops."""

import datetime
import http.client
import ipaddress
import os
import signal
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cyborg.tests.functional import processes
from cyborg.tests.functional.broker_proxy import Proxy
from cyborg.tests.functional.deployment import rabbitmq
from cyborg.tests.waiting import until

STOPS_WITHIN = 10.0
#: For a process to see what has happened to its connections.
A_WHILE = 1.0
NOBODY = "127.0.0.1:1"
GOOD = {
    "DEFAULT": {"transport_url": "fake://", "host": "host-1"},
    "api": {"auth_strategy": "noauth", "api_workers": "2"},
    "database": {"max_retries": "1", "retry_interval": "1"},
    "agent": {"resource_provider_name": "host-1"},
    "placement": {"auth_type": "none", "endpoint": f"http://{NOBODY}"},
}
#: What is wrong -> command, section, option, value, and what is said of it.
WRONG = {
    "no database": ("cyborg-conductor", "database", "connection", "", "set [database] connection"),
    "a database URL that is none": ("cyborg-conductor", "database", "connection", "nonsense", "[database] connection"),
    "a database that is away": (
        "cyborg-conductor",
        "database",
        "connection",
        f"mysql+pymysql://me@{NOBODY}/cyborg",
        "The database does not answer",
    ),
    "no broker": ("cyborg-conductor", "DEFAULT", "transport_url", "rabbit://", "set [DEFAULT] transport_url"),
    "a broker's URL that is none": ("cyborg-agent", "DEFAULT", "transport_url", "me@there", "transport_url"),
    "an unknown transport": ("cyborg-agent", "DEFAULT", "transport_url", "nonsense://", "nonsense"),
    "an unknown driver": ("cyborg-agent", "agent", "enabled_drivers", "no_such_driver", "no_such_driver"),
    "no credentials for Placement": ("cyborg-agent", "placement", "auth_type", "", "[placement] has no auth_type"),
    "half of the credentials": ("cyborg-agent", "placement", "auth_type", "password", "auth_url"),
    "no paste file": ("cyborg-api", "api", "api_paste_config", "missing.ini", "missing.ini"),
    "a paste file that is none": ("cyborg-api", "api", "api_paste_config", "/dev/null", "paste file /dev/null"),
    "a port that is no number": ("cyborg-api", "api", "port", "http", "port"),
    "everybody let in": ("cyborg-api", "api", "host_ip", "0.0.0.0", "noauth"),
    "HTTPS without a certificate": ("cyborg-api", "api", "enable_ssl_api", "true", "[ssl] cert_file"),
}


def configure(directory: Path, changes: Mapping[tuple[str, str], str]) -> Path:
    """A file with what works, and ``changes`` by (section, option)."""
    groups = {name: dict(options) for name, options in GOOD.items()}
    groups["database"]["connection"] = f"sqlite:///{directory}/cyborg.sqlite"
    for (section, option), value in changes.items():
        groups.setdefault(section, {})[option] = value
    lines = [
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in sorted(groups[name].items())) for name in groups
    ]
    path = directory / "cyborg.conf"
    path.write_text("".join(lines), encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    returncode: int
    stdout: str


def run(name: str, configuration: Path, *arguments: str, forked: bool = True) -> Ended:
    argv = processes.command(name, "--config-file", configuration, *arguments)
    with processes.Process(f"{name} {uuid.uuid4()}", argv, configuration.parent, forked=forked) as process:
        return Ended(returncode=process.wait_end(), stdout=process.output)


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_work_ends_with_status_1_and_one_line_that_says_why(what: str, tmp_path: Path) -> None:
    command, section, option, value, words = WRONG[what]
    ended = run(command, configure(tmp_path, {(section, option): value}))
    said = [line for line in ended.stdout.splitlines() if words in line]
    assert ended.returncode == 1
    assert len(said) in {1, 2}, ended.stdout
    assert "Traceback" not in ended.stdout


def test_a_configuration_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = run("cyborg-agent", tmp_path / "missing.conf", forked=False)
    assert (ended.returncode, ended.stdout.count("missing.conf"), len(ended.stdout.splitlines())) == (1, 1, 1)


def test_a_port_that_somebody_has_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("cyborg-api", configure(tmp_path, {("api", "port"): str(port)}))
    assert (ended.returncode, f"127.0.0.1 port {port}" in ended.stdout) == (1, True)


def test_a_second_api_does_not_share_the_port_of_the_first(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, first):
        ended = run("cyborg-api", configure(tmp_path, {("api", "port"): str(port)}))
        assert ended.returncode == 1
        assert (get(port), first.runs) == (200, True)


@contextmanager
def serving(
    directory: Path, changes: Mapping[tuple[str, str], str] | None = None, *, forked: bool = True
) -> Iterator[tuple[int, processes.Process]]:
    port = processes.free_port()
    configuration = configure(directory, {("api", "port"): str(port), **(changes or {})})
    upgraded = run("cyborg-dbsync", configuration, "upgrade", forked=forked)
    assert upgraded.returncode == 0, upgraded.stdout
    argv = processes.command("cyborg-api", "--config-file", configuration)
    with processes.Process("api", argv, directory, forked=forked) as api:
        until("the port is open", lambda: processes.listens(port))
        yield port, api


def get(port: int, path: str = "/v2/device_profiles", context: ssl.SSLContext | None = None) -> int:
    """The status of an answer, over a connection of its own."""
    if context is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    try:
        connection.request("GET", path, headers={"X-Auth-Token": "admin"})
        return connection.getresponse().status
    finally:
        connection.close()


def workers(process: processes.Process) -> set[int]:
    """The process ids of the children, by whichever thread they were made."""
    lists = Path(f"/proc/{process.pid}/task").glob("*/children")
    return {int(child) for children in lists for child in children.read_text(encoding="ascii").split()}


def test_a_dead_worker_is_replaced_and_no_request_is_lost_to_it(tmp_path: Path) -> None:
    with serving(tmp_path, forked=False) as (port, api):
        assert get(port) == 200
        before = workers(api)
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        assert {get(port) for _ in range(20)} == {200}
        until("there are two workers again", lambda: len(workers(api)) == 2 and workers(api) != before)
        assert {get(port) for _ in range(5)} == {200}
        status, seconds = api.stop()
        assert (status, seconds < STOPS_WITHIN, processes.listens(port)) == (0, True, False)


def test_the_api_speaks_https_with_the_certificate_of_the_ssl_section(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    changes = {("api", "enable_ssl_api"): "true", ("ssl", "cert_file"): str(certificate), ("ssl", "key_file"): str(key)}
    context = ssl.create_default_context(cafile=str(certificate))
    with serving(tmp_path, changes) as (port, _):
        assert get(port, context=context) == 200


def self_signed(directory: Path) -> tuple[Path, Path]:
    """(certificate, key) of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.mark.parametrize("command", ["cyborg-conductor", "cyborg-agent"])
def test_a_service_that_waits_for_its_broker_stops_when_it_is_told_to(command: str, tmp_path: Path) -> None:
    configuration = configure(tmp_path, {("DEFAULT", "transport_url"): f"rabbit://me:secret@{NOBODY}/"})
    argv = processes.command(command, "--config-file", configuration)
    with processes.Process(command, argv, tmp_path, forked=False) as service:
        service.wait_for("Connection failed")
        status, seconds = service.stop()
        assert (status, seconds < STOPS_WITHIN) == (0, True)
        assert "secret" not in service.output


@pytest.mark.servers
@pytest.mark.parametrize("command", ["cyborg-conductor", "cyborg-agent"])
@pytest.mark.parametrize("outage", [Proxy.cut, Proxy.hold])
def test_a_service_whose_broker_goes_away_stops_when_it_is_told_to(
    command: str, outage: Callable[[Proxy], None], tmp_path: Path
) -> None:
    with Proxy(rabbitmq()) as proxy:
        changes = {
            ("DEFAULT", "transport_url"): proxy.url,
            ("DEFAULT", "control_exchange"): f"test-{uuid.uuid4()}",
            # Nothing stays behind in the broker; quorum queues cannot delete themselves.
            ("oslo_messaging_rabbit", "amqp_auto_delete"): "true",
            ("oslo_messaging_rabbit", "rabbit_quorum_queue"): "false",
            ("oslo_messaging_rabbit", "rabbit_transient_quorum_queue"): "false",
            ("oslo_messaging_rabbit", "rabbit_transient_queues_ttl"): "60",
        }
        configuration = configure(tmp_path, changes)
        with processes.Process(
            command, processes.command(command, "--config-file", configuration), tmp_path
        ) as service:
            service.wait_for("tarted")
            outage(proxy)
            time.sleep(A_WHILE)
            status, seconds = service.stop()
            assert (status, seconds < STOPS_WITHIN) == (0, True)


def test_a_request_does_not_wait_for_a_broker_that_never_was_there(tmp_path: Path) -> None:
    with serving(tmp_path, {("DEFAULT", "transport_url"): f"rabbit://{NOBODY}/"}) as (port, _):
        assert get(port) == 200
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"X-Auth-Token": "admin", "X-Service-Token": "nova"}
        before = time.monotonic()
        connection.request(
            "DELETE", "/v2/accelerator_requests?instance=5e4ad0ed-15d3-4a5e-8f0b-3b3b0cdd6a7f", headers=headers
        )
        assert connection.getresponse().status == 503
        assert time.monotonic() - before < 10
        connection.close()
