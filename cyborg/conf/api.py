# SPDX-License-Identifier: Apache-2.0
"""[api]: where the REST API listens and how it knows its callers."""

import socket

from oslo_config import cfg

GROUP = "api"

OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt("host_ip", default="127.0.0.1", help="Address on which cyborg-api listens."),
    cfg.PortOpt("port", default=6666, help="Port on which cyborg-api listens."),
    cfg.IntOpt("api_workers", min=1, help="API processes; the default is one for each processor."),
    cfg.BoolOpt(
        "enable_ssl_api",
        default=False,
        help="Serve HTTPS. Behind a proxy that ends TLS, leave this off and set public_endpoint.",
    ),
    cfg.URIOpt(
        "public_endpoint",
        schemes=["http", "https"],
        help=(
            "URL by which clients reach the API, used in links. Without a path the service's mount point is added. "
            "The default is what the request was sent to."
        ),
    ),
    cfg.StrOpt("api_paste_config", default="api-paste.ini", help="File that lists the middleware around the API."),
    cfg.StrOpt(
        "auth_strategy",
        default="keystone",
        choices=[
            ("keystone", "tokens are validated by Keystone"),
            ("noauth", "development only: the token itself says who the caller is, user[:project[:role,role]]"),
        ],
        help="How callers are known.",
    ),
    cfg.BoolOpt(
        "noauth_beyond_loopback",
        default=False,
        help="With auth_strategy = noauth, listen beyond loopback and answer callers on other machines. Every caller "
        "is believed then.",
    ),
    cfg.IntOpt("max_limit", default=1000, min=1, help="The most items that one page of a list has."),
    cfg.IntOpt(
        "host_down_after",
        default=180,
        min=1,
        help="Seconds after which the conductors take a host for down whose agent was not heard of: binds there are "
        "refused, and what is free there is withheld. Agents speak every [DEFAULT] periodic_interval seconds.",
    ),
]

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def register(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(GROUP, OPTS)]


def exposes_noauth(conf: cfg.ConfigOpts, address: str) -> bool:
    """Whether listening on ``address`` would let strangers in without a token, against the operator's word."""
    loopback = address in _LOOPBACK or (_is_ipv4(address) and address.startswith("127."))
    return conf.api.auth_strategy == "noauth" and not loopback and not conf.api.noauth_beyond_loopback


def _is_ipv4(address: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, address)
    except OSError:
        return False
    return True
