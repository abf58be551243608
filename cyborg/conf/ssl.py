# SPDX-License-Identifier: Apache-2.0
"""[ssl]: the certificate of cyborg-api, by the names under which oslo.service knew it."""

from oslo_config import cfg

GROUP = "ssl"

OPTS: list[cfg.Opt] = [
    cfg.StrOpt("cert_file", help="Certificate, with its chain, for [api] enable_ssl_api."),
    cfg.StrOpt("key_file", help="Private key of the certificate."),
    cfg.StrOpt("ca_file", help="Certificates of authorities that complete the chain of the certificate."),
]


def register(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(GROUP, OPTS)]
