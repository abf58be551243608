# SPDX-License-Identifier: Apache-2.0
"""cyborg-standalone: the whole service, and a real Placement, in one process for one machine.

For development, demonstrations and tests of other software. The API, the conductor and the agents are the same code as
everywhere; what differs is options: SQLite, in-process messaging, no Keystone, an embedded Placement. Everything that
must survive a restart lies under the state directory.

    cyborg-standalone --state-dir /tmp/cyborg --simulated-host gpu-1=host.yaml --simulated-host fpga-1=/path/to/tree

A host is a recording (a host.yaml, see cyborg.drivers.recorded) or a directory with ``sys``, ``dev`` and ``proc``; each
gets an agent of its own and the same drivers. Without any, this machine is the only host.
"""

import contextlib
import fcntl
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cheroot import wsgi
from keystoneauth1 import loading
from oslo_config import cfg
from oslo_log import log

from cyborg import conf as configuration
from cyborg.agent.service import Agent
from cyborg.api import app
from cyborg.clients import nova
from cyborg.cmd import embedded_placement, web
from cyborg.conductor.service import Conductor
from cyborg.conf import api as api_options
from cyborg.domain import errors
from cyborg.drivers import recorded
from cyborg.drivers.host import Host
from cyborg.placement.client import PlacementClient
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store import schema
from cyborg.store.engine import Store

LOG = log.getLogger(__name__)
PLACEMENT_PATH = "/placement"
READY_TIMEOUT = 60.0
#: So many reports must fail to come before a host is taken for down.
REPORTS_MISSED = 3

CLI_OPTS = [
    cfg.StrOpt("state-dir", default="cyborg-state", help="Directory for databases and simulated hosts."),
    cfg.HostAddressOpt("listen", default="127.0.0.1", help="Address to listen on."),
    cfg.PortOpt("port", default=6666, min=0, help="Port of the API and of Placement; 0 takes a free one."),
    cfg.ListOpt("drivers", help="Drivers to enable on every host; the default is [agent] enabled_drivers."),
    cfg.MultiStrOpt("simulated-host", default=[], metavar="NAME=PATH", help="A host to simulate; may be repeated."),
    cfg.IntOpt("interval", default=10, min=1, help="Seconds between two reports of each host."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A host with an agent of its own; ``root`` None is this machine."""

    name: str
    root: Path | None


class Standalone:
    """``start`` returns when every host has reported and Placement shows it; ``stop`` when all is written."""

    def __init__(self, conf: cfg.ConfigOpts, hosts: Sequence[Simulated]) -> None:
        self._conf = conf
        self._state = Path(conf.state_dir)
        self._hosts = hosts
        self._transport = messaging.get_transport(conf)
        self.store = Store.from_conf(conf)
        schema.upgrade(self.store)
        self._conductor = Conductor(conf, self.store, self._transport, nova.NoNova())
        api = app.load(conf, self.store, ConductorClient(conf, self._transport))
        placement = embedded_placement.build(self._state)
        routes = wsgi.PathInfoDispatcher({"/": api, PLACEMENT_PATH: placement})
        self._web = web.WebServer(routes, web.listen(conf.listen, conf.port))
        self.agents: list[Agent] = []

    @property
    def url(self) -> str:
        return f"http://{self._conf.listen}:{self._web.port}"

    def start(self) -> None:
        """Raises what keeps a part from starting, with the others stopped again: threads would keep the process."""
        with contextlib.ExitStack() as undo:
            undo.callback(self.store.dispose)
            self._web.start()
            undo.callback(self._web.stop)
            self._conductor.start()
            undo.callback(self._conductor.stop)
            self._conf.set_override("endpoint_override", f"{self.url}{PLACEMENT_PATH}", "placement")
            self._make_compute_nodes()
            self.agents = [
                Agent(self._conf, self._transport, host_name=one.name, host=_open(one, self._state))
                for one in self._hosts
            ]
            for agent in self.agents:
                agent.start()
                undo.callback(agent.stop)
            for agent in self.agents:
                agent.wait_first_round(READY_TIMEOUT)
            undo.pop_all()

    def stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda part: part.stop(), [*self.agents, self._web, self._conductor]))
        self.store.dispose()

    def _make_compute_nodes(self) -> None:
        """What nova-compute does on a real host: one resource provider of the host's name."""
        client = PlacementClient.from_conf(self._conf)
        known = {one["name"] for one in client.get("/resource_providers")["resource_providers"]}
        for host in self._hosts:
            if host.name not in known:
                client.post("/resource_providers", {"name": host.name})


def _open(simulated: Simulated, state: Path) -> Host:
    root = simulated.root
    if root is None:
        return Host()
    if root.is_file():
        return recorded.materialise(root, state / "hosts" / simulated.name)
    return Host(sysfs=root / "sys", devfs=root / "dev", procfs=root / "proc")


def parse_hosts(conf: cfg.ConfigOpts) -> list[Simulated]:
    """The hosts of ``--simulated-host``, or this machine; raises InvalidRequest for one that cannot be."""
    hosts: dict[str, Simulated] = {}
    for text in conf.simulated_host:
        name, _, path = text.partition("=")
        if not (name and path and Path(path).exists()):
            raise errors.InvalidRequest(f"--simulated-host {text!r} must be NAME=PATH of a file or directory.")
        if name in hosts:
            raise errors.InvalidRequest(f"--simulated-host {name!r} is given twice.")
        hosts[name] = Simulated(name=name, root=Path(path))
    return list(hosts.values()) or [Simulated(name=conf.host, root=None)]


def configure(argv: Sequence[str]) -> cfg.ConfigOpts:
    """The configuration of a standalone service: the embedded choices, whatever the files say."""
    conf = configuration.load(argv, prog="cyborg-standalone", cli_opts=CLI_OPTS)
    state = Path(conf.state_dir).absolute()
    conf.register_opts(loading.get_auth_plugin_conf_options("admin_token"), group="placement")
    overrides = {
        "DEFAULT": {
            "transport_url": "fake://",
            "state_path": str(state),
            "state_dir": str(state),
            "periodic_interval": conf.interval,
            # Placement tells of every request that our own agents send it.
            "default_log_levels": [*conf.default_log_levels, "placement=WARNING"],
        },
        "api": {
            "auth_strategy": "noauth",
            "host_ip": conf.listen,
            "port": conf.port,
            "host_down_after": max(conf.api.host_down_after, REPORTS_MISSED * conf.interval),
        },
        "database": {"connection": f"sqlite:///{state / 'cyborg.db'}"},
        "placement": {"auth_type": "admin_token", "token": embedded_placement.TOKEN, "endpoint": "http://unset"},
    }
    for group, values in overrides.items():
        for name, value in values.items():
            conf.set_override(name, value, group=None if group == "DEFAULT" else group)
    if conf.drivers:
        conf.set_override("enabled_drivers", conf.drivers, "agent")
    return conf


@contextlib.contextmanager
def alone_in(state: Path) -> Iterator[None]:
    """Hold the state directory; raises Conflict while another process does."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise errors.Conflict(f"{state} is in use by another cyborg-standalone; stop it or name another.") from exc
        yield


def main() -> int:
    conf = configure(sys.argv[1:])
    configuration.setup_logging(conf)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        with alone_in(Path(conf.state_dir)):
            _serve(conf, stopping)
    except (errors.CyborgError, OSError) as exc:
        print(f"cyborg-standalone: {exc}", file=sys.stderr)
        return 1
    return 0


def _serve(conf: cfg.ConfigOpts, stopping: threading.Event) -> None:
    if api_options.exposes_noauth(conf, conf.listen):
        raise errors.InvalidRequest(
            f"--listen {conf.listen} would let anybody in: there is no Keystone here. Listen on 127.0.0.1, or set "
            "[api] noauth_beyond_loopback."
        )
    hosts = parse_hosts(conf)
    service = Standalone(conf, hosts)
    service.start()
    names = ", ".join(host.name for host in hosts)
    urls = f"accelerator API {service.url}/v2, Placement {service.url}{PLACEMENT_PATH}"
    print(f"Ready: {urls}, hosts: {names}", flush=True)
    stopping.wait()
    service.stop()
