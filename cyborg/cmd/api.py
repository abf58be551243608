# SPDX-License-Identifier: Apache-2.0
"""cyborg-api: the REST API out of the box; behind another WSGI server it is ``cyborg.wsgi.api:application``."""

import sys

from oslo_config import cfg

from cyborg import conf as configuration
from cyborg.api import app
from cyborg.cmd import processes, web
from cyborg.conf import api as options
from cyborg.domain import errors
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store.engine import Store


class Api:
    """The API and what it needs, on one port; several processes may share it."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        if options.exposes_noauth(conf, conf.api.host_ip):
            raise errors.InvalidRequest(
                f"[api] auth_strategy = noauth on {conf.api.host_ip} lets anybody in. Listen on 127.0.0.1, use Keystone, "
                "or set [api] noauth_beyond_loopback."
            )
        store = Store.from_conf(conf)
        conductor = ConductorClient(conf, messaging.get_transport(conf))
        self._web = web.WebServer(
            app.load(conf, store, conductor),
            conf.api.host_ip,
            conf.api.port,
            threads=conf.thread_pool_size,
            shared_port=True,
        )

    def start(self) -> None:
        self._web.start()

    def stop(self) -> None:
        self._web.stop()


def main() -> int:
    conf = configuration.load(sys.argv[1:], prog="cyborg-api")
    configuration.setup_logging(conf)
    processes.run(conf, lambda: Api(conf), workers=conf.api.api_workers or 1)
    return 0
