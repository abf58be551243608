# SPDX-License-Identifier: Apache-2.0
"""The real Placement behind Keystone's tokens; a program for `keystone_fixture`.

python placement_server.py DIRECTORY PORT IDENTITY_URL PASSWORD DATABASE
"""

import sys
import warnings
from pathlib import Path

from cheroot import wsgi

CONFIGURATION = """
[DEFAULT]
log_file = {directory}/placement.log
[api]
auth_strategy = keystone
[placement_database]
connection = {database}
sync_on_startup = True
[keystone_authtoken]
auth_type = password
auth_url = {identity_url}
username = placement
password = {password}
user_domain_name = Default
project_name = service
project_domain_name = Default
"""


def main(directory: Path, port: int, identity_url: str, password: str, database: str) -> None:
    configuration = directory / "placement.conf"
    text = CONFIGURATION.format(directory=directory, identity_url=identity_url, password=password, database=database)
    configuration.write_text(text, encoding="utf-8")
    from keystonemiddleware import auth_token
    from oslo_config import cfg
    from oslo_log import log
    from placement import conf as options
    from placement import db_api, deploy

    conf = cfg.ConfigOpts()
    options.register_opts(conf)
    log.register_options(conf)
    for group, opts in auth_token.list_opts():
        conf.register_opts(opts, group=group)
    conf([], project="placement", default_config_files=[str(configuration)])
    log.setup(conf, "placement")
    db_api.configure(conf)
    wsgi.Server(("127.0.0.1", port), deploy.loadapp(conf), numthreads=4).start()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _, where, at, url, secret, books = sys.argv
    del sys.argv[1:]
    main(Path(where), int(at), url, secret, books)
