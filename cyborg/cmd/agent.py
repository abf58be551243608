# SPDX-License-Identifier: Apache-2.0
"""cyborg-agent: one on every host with accelerators."""

import sys

from cyborg import conf as configuration
from cyborg.agent import service
from cyborg.cmd import processes
from cyborg.rpc import messaging


def main() -> int:
    conf = configuration.load(sys.argv[1:], prog="cyborg-agent")
    configuration.setup_logging(conf)
    processes.run(conf, lambda: service.Agent(conf, messaging.get_transport(conf)))
    return 0
