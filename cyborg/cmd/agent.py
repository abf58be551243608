# SPDX-License-Identifier: Apache-2.0
"""cyborg-agent: one on every host with accelerators."""

from oslo_config import cfg

from cyborg.agent import naming, service
from cyborg.cmd import processes
from cyborg.placement.client import PlacementClient
from cyborg.placement.publisher import Publisher
from cyborg.rpc import messaging


def main() -> int:
    return processes.command("cyborg-agent", _serve)


def _serve(conf: cfg.ConfigOpts) -> int:
    def build() -> service.Agent:
        transport = messaging.get_transport(conf)
        name = naming.settle(conf, Publisher(PlacementClient.from_conf(conf), conf))
        return service.Agent(conf, transport, host_name=name)

    return processes.run(conf, build)
