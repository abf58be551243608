# SPDX-License-Identifier: Apache-2.0
"""cyborg-status upgrade check: whether the services of this release may be started on what is there."""

import sys
from collections.abc import Sequence

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from cyborg import conf as configuration
from cyborg.domain import errors
from cyborg.store import schema
from cyborg.store.engine import Store


class Checks(upgradecheck.UpgradeCommands):
    """Each check says, when it fails, what to type."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def check_database(self) -> upgradecheck.Result:
        """Asked once, without the retries of a starting service: the operator is waiting."""
        try:
            with Store.from_conf(self._conf, max_retries=0).reading():
                return upgradecheck.Result(upgradecheck.Code.SUCCESS)
        except errors.CyborgError as error:
            return upgradecheck.Result(upgradecheck.Code.FAILURE, error.message)

    def check_schema(self) -> upgradecheck.Result:
        try:
            found = schema.version(Store.from_conf(self._conf, max_retries=0))
        except errors.CyborgError as error:
            return upgradecheck.Result(upgradecheck.Code.FAILURE, error.message)
        if found == schema.head():
            return upgradecheck.Result(upgradecheck.Code.SUCCESS)
        return upgradecheck.Result(
            upgradecheck.Code.FAILURE,
            f"The schema is at revision {found or 'none'} and must be at {schema.head()}; run 'cyborg-dbsync upgrade'.",
        )

    _upgrade_checks = (("Database", check_database), ("Schema", check_schema))


def main(argv: Sequence[str] | None = None) -> int:
    conf = configuration.new_config()
    arguments = list(sys.argv[1:] if argv is None else argv)
    return int(upgradecheck.main(conf, configuration.PROJECT, Checks(conf), argv=arguments))


if __name__ == "__main__":
    sys.exit(main())
