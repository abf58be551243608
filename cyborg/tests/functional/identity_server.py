# SPDX-License-Identifier: Apache-2.0
"""The real Keystone on SQLite, made from nothing and served; a program for `keystone_fixture`.

python identity_server.py DIRECTORY PORT PASSWORD
"""

import os
import sys
import warnings
from pathlib import Path

from cheroot import wsgi

CONFIGURATION = """
[DEFAULT]
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.sqlite
[identity]
# Passwords are checked hundreds of times here, and are no secrets.
password_hash_rounds = 4
[fernet_tokens]
key_repository = {directory}/fernet
[fernet_receipts]
key_repository = {directory}/fernet
[credential]
key_repository = {directory}/credential
"""
KEYS = {"fernet_tokens": "fernet", "credential": "credential"}
REGION = "RegionOne"


def main(directory: Path, port: int, password: str) -> None:
    configuration = directory / "keystone.conf"
    configuration.write_text(CONFIGURATION.format(directory=directory), encoding="utf-8")
    # Here for both processes: it takes most of the time.
    from keystone.server.flask import core

    maker = os.fork()
    if not maker:
        # Keystone's tools and its application each set up the whole process, which can be done only once.
        os._exit(_make(configuration, f"http://127.0.0.1:{port}/v3", password))
    _, status = os.waitpid(maker, 0)
    if status:
        sys.exit(1)
    application = core.initialize_application("public", config_files=[str(configuration)])
    wsgi.Server(("127.0.0.1", port), application, numthreads=8).start()


def _make(configuration: Path, url: str, password: str) -> int:
    """What ``keystone-manage`` does with fernet_setup, credential_setup, db_sync and bootstrap."""
    import keystone.server
    from keystone.cmd import bootstrap
    from keystone.common import fernet_utils
    from keystone.common.sql import upgrades

    keystone.server.configure(config_files=[str(configuration)])
    for group, name in KEYS.items():
        keys = fernet_utils.FernetUtils(str(configuration.parent / name), 3, group)
        keys.create_key_directory()
        keys.initialize_key_repository()
    upgrades.offline_sync_database_to_version()
    first = bootstrap.Bootstrapper()
    first.admin_username = first.project_name = first.admin_role_name = "admin"
    first.admin_password, first.service_name, first.region_id = password, "keystone", REGION
    first.public_url = first.internal_url = url
    first.bootstrap()
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _, where, at, secret = sys.argv
    # Keystone reads the command line, and would not know these.
    del sys.argv[1:]
    main(Path(where), int(at), secret)
