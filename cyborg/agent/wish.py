# SPDX-License-Identifier: Apache-2.0
"""The shape in which this host is to be shown, by its options, beside the one that it has.

A host that holds accelerators is not changed by an option: allocations have to be moved with it, by a command.
"""

from oslo_config import cfg
from oslo_log import log

from cyborg.conf import placement as options
from cyborg.domain.shape import Layout, Naming, Shape
from cyborg.domain.view import HostView

LOG = log.getLogger(__name__)


class Wish:
    """Says once what an operator has to do, and again when that changes."""

    def __init__(self, conf: cfg.ConfigOpts, host_name: str) -> None:
        group = conf[options.GROUP]
        self._host_name = host_name
        self._said: Shape | None = None
        self.shape = Shape(layout=Layout(group.provider_layout), naming=Naming(group.resource_class_naming))

    def differs_from(self, shown: HostView | None) -> bool:
        return shown is not None and shown.shape != self.shape

    def compare(self, asked_with: HostView | None, answer: HostView) -> None:
        """The first answer tells which shape the host has; a later one whether it could be changed."""
        if answer.shape == self.shape:
            self._said = None
        elif self.differs_from(asked_with) and answer.providers and self._said != answer.shape:
            self._said = answer.shape
            LOG.warning(
                "[%s] asks for %s and host %s has %s, which stays while its accelerators are in use. To move it with "
                "them, run: cyborg-manage placement reshape --to %s --naming %s --host %s",
                options.GROUP,
                self.shape,
                self._host_name,
                answer.shape,
                self.shape.layout,
                self.shape.naming,
                self._host_name,
            )
