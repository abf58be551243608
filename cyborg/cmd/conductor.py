# SPDX-License-Identifier: Apache-2.0
"""cyborg-conductor: any number of them, on any hosts."""

import sys

from cyborg import conf as configuration
from cyborg.cmd import processes
from cyborg.conductor import service
from cyborg.rpc import messaging
from cyborg.store.engine import Store


def main() -> int:
    conf = configuration.load(sys.argv[1:], prog="cyborg-conductor")
    configuration.setup_logging(conf)
    processes.run(
        conf,
        lambda: service.Conductor(conf, Store.from_conf(conf), messaging.get_transport(conf)),
        workers=conf.conductor.workers,
    )
    return 0
