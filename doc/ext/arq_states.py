# SPDX-License-Identifier: Apache-2.0
"""``.. arq-states::``: what may follow what, as a table drawn from the transition table in the code."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from cyborg.domain import arq

ALLOWED = "✓"


class ArqStates(SphinxDirective):
    """One row for each state, one column for each state that may follow it."""

    def run(self) -> list[nodes.Node]:
        states = list(arq.State)
        header = ["from \\ to", *(str(state) for state in states)]
        rows = [[str(state), *(ALLOWED if arq.may_follow(state, to) else "" for to in states)] for state in states]
        text = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
        for row in [header, *rows]:
            text.extend(f"   {'*' if not index else ' '} - {cell}".rstrip() for index, cell in enumerate(row))
        return self.parse_text_to_nodes("\n".join(text))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("arq-states", ArqStates)
    return {"parallel_read_safe": True}
