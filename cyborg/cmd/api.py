# SPDX-License-Identifier: Apache-2.0
"""cyborg-api: the REST API out of the box; behind another WSGI server it is ``cyborg.wsgi.api:application``."""

import os

from cheroot.ssl.builtin import BuiltinSSLAdapter
from oslo_config import cfg

from cyborg.api import app
from cyborg.cmd import processes, web
from cyborg.conf import api as options
from cyborg.domain import errors
from cyborg.rpc import messaging
from cyborg.rpc.conductor import ConductorClient
from cyborg.store.engine import Store


def main() -> int:
    return processes.command("cyborg-api", _serve)


def _serve(conf: cfg.ConfigOpts) -> int:
    """The port is opened here, and the processes share it."""
    if options.exposes_noauth(conf, conf.api.host_ip):
        raise errors.InvalidRequest(
            f"[api] auth_strategy = noauth on {conf.api.host_ip} lets anybody in. Listen on 127.0.0.1, use Keystone, "
            "or set [api] noauth_beyond_loopback."
        )
    ssl_adapter = _tls(conf)
    listener = web.listen(conf.api.host_ip, conf.api.port)

    def build() -> web.WebServer:
        conductor = ConductorClient(conf, messaging.get_transport(conf))
        application = app.load(conf, Store.from_conf(conf), conductor)
        return web.WebServer(application, listener, threads=conf.thread_pool_size, ssl_adapter=ssl_adapter)

    return processes.run(conf, build, workers=conf.api.api_workers or len(os.sched_getaffinity(0)))


def _tls(conf: cfg.ConfigOpts) -> BuiltinSSLAdapter | None:
    if not conf.api.enable_ssl_api:
        return None
    if not (conf.ssl.cert_file and conf.ssl.key_file):
        raise errors.InvalidRequest("[api] enable_ssl_api needs [ssl] cert_file and key_file.")
    return web.tls(conf.ssl.cert_file, conf.ssl.key_file, conf.ssl.ca_file)
