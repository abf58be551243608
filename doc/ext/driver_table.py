# SPDX-License-Identifier: Apache-2.0
"""``.. driver-table::``: every driver that is registered, with its option group and the first line of its module."""

import importlib
import inspect
from importlib.metadata import entry_points

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ENTRY_POINTS = "cyborg.accelerator.driver"


class DriverTable(SphinxDirective):
    """Sorted by the name that ``[agent] enabled_drivers`` takes."""

    def run(self) -> list[nodes.Node]:
        text = [".. list-table::", "   :header-rows: 1", "", "   * - driver", "     - options", "     - what it offers"]
        for point in sorted(entry_points(group=ENTRY_POINTS)):
            driver = point.load()
            group = f"``[{driver.option_group}]``" if driver.option_group else "none"
            module = inspect.getdoc(importlib.import_module(point.module)) or ""
            text += [f"   * - ``{point.name}``", f"     - {group}", f"     - {module.splitlines()[0]}"]
        return self.parse_text_to_nodes("\n".join(text))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("driver-table", DriverTable)
    return {"parallel_read_safe": True}
