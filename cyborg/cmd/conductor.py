# SPDX-License-Identifier: Apache-2.0
"""cyborg-conductor: any number of them, on any hosts."""

from oslo_config import cfg

from cyborg.cmd import processes
from cyborg.conductor import service
from cyborg.rpc import messaging
from cyborg.store.engine import Store


def main() -> int:
    return processes.command("cyborg-conductor", _serve)


def _serve(conf: cfg.ConfigOpts) -> int:
    def build() -> service.Conductor:
        return service.Conductor(conf, Store.from_conf(conf), messaging.get_transport(conf))

    return processes.run(conf, build, workers=conf.conductor.workers)
