# SPDX-License-Identifier: Apache-2.0
"""cyborg-manage: what operators do to the whole service from the command line.

    cyborg-manage placement reshape --to nested --host compute-1 --dry-run
    cyborg-manage audit --repair

It works on the database and on Placement, with the options [database] and [placement], and needs no other process.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from cyborg import conf as configuration
from cyborg.conductor.auditing import Auditor
from cyborg.conductor.reshaping import Reshaper
from cyborg.domain import errors, wire
from cyborg.domain.shape import Layout, Naming
from cyborg.placement.client import PlacementClient
from cyborg.placement.mover import Mover
from cyborg.store.engine import Store


def main(argv: Sequence[str] | None = None) -> int:
    command = cfg.SubCommandOpt("command", title="Command", help="What to do.", handler=_add_parsers)
    conf = configuration.load(sys.argv[1:] if argv is None else argv, prog="cyborg-manage", cli_opts=[command])
    # What is printed is the answer, perhaps for a program.
    conf.set_default("use_stderr", default=True)
    configuration.setup_logging(conf)
    try:
        return int(conf.command.action(conf))
    except errors.CyborgError as error:
        print(f"cyborg-manage: {error.message}", file=sys.stderr)
        return 1


def _add_parsers(commands: Any) -> None:
    _add_placement(commands.add_parser("placement", help="How hosts are shown in Placement."))
    text = "Compare the database, Placement and what agents last saw; exit status 1 when there are differences."
    _add_audit(commands.add_parser("audit", help=text, description=text))


def _add_placement(parser: Any) -> None:
    text = "Move a host, with its running allocations, to another layout or other classes. Safe to run again."
    reshape = parser.add_subparsers(required=True).add_parser("reshape", help=text, description=text)
    reshape.set_defaults(action=_reshape)
    reshape.add_argument("--host", dest="host_name", required=True, help="The host, as its agent is named.")
    reshape.add_argument("--to", required=True, choices=[str(layout) for layout in Layout], help="The layout to get.")
    reshape.add_argument(
        "--naming", choices=[str(naming) for naming in Naming], help="The classes to get; those it has by default."
    )
    reshape.add_argument("--dry-run", action="store_true", help="Say what would be moved, and change nothing.")
    reshape.add_argument(
        "--wait", type=float, default=30, help="Seconds to wait for servers that are being built there (default 30)."
    )


def _add_audit(audit: Any) -> None:
    audit.set_defaults(action=_audit)
    audit.add_argument("--host", dest="host_name", help="This host only.")
    audit.add_argument("--repair", action="store_true", help="Mend what may be mended. Safe to run again.")
    audit.add_argument("--json", dest="as_json", action="store_true", help="One JSON object for each difference.")


def _audit(conf: cfg.ConfigOpts) -> int:
    asked = conf.command
    auditor = Auditor(conf, Store.from_conf(conf), PlacementClient.from_conf(conf))
    clean = True
    for difference in auditor.run(asked.host_name, repair=asked.repair):
        _say(json.dumps(wire.to_wire(difference)) if asked.as_json else str(difference))
        clean = clean and difference.repaired
    return 0 if clean else 1


def _reshape(conf: cfg.ConfigOpts) -> int:
    asked = conf.command
    reshaper = Reshaper(Store.from_conf(conf), Mover(PlacementClient.from_conf(conf)), _say, patience=asked.wait)
    reshaper.run(
        asked.host_name, Layout(asked.to), None if asked.naming is None else Naming(asked.naming), dry_run=asked.dry_run
    )
    return 0


def _say(text: str) -> None:
    print(text)


if __name__ == "__main__":
    sys.exit(main())
