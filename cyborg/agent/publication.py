# SPDX-License-Identifier: Apache-2.0
"""The newest view of this host, and Placement made equal to it.

Views come from two sides: with the answers to reports, and as casts when a claim or a release changed what is
free. Whoever has handed one over calls `publish`; it always takes the newest, one at a time.
"""

import threading

from oslo_log import log

from cyborg.domain import errors
from cyborg.domain.view import HostView
from cyborg.outage import Outage
from cyborg.placement.publisher import Publisher

LOG = log.getLogger(__name__)
NO_VIEW = -1


class Publication:
    """For any number of threads."""

    def __init__(self, host_name: str, publisher: Publisher) -> None:
        self._host_name = host_name
        self._publisher = publisher
        self._one_at_a_time = threading.Lock()
        self._guard = threading.Lock()
        self._view: HostView | None = None
        self._outage = Outage("Placement")
        self._provider_uuid: str | None = None
        self._waiting = False

    @property
    def view(self) -> HostView | None:
        return self._view

    @property
    def generation(self) -> int:
        """Of the view; lower than any when there is none."""
        return NO_VIEW if self._view is None else self._view.generation

    @property
    def provider_uuid(self) -> str | None:
        """The host's compute-node provider, None while it has not been found."""
        return self._provider_uuid

    def offer(self, wanted: HostView) -> bool:
        """Take ``wanted`` if it is newer than the view; never waits for Placement."""
        if wanted.host != self._host_name:
            LOG.warning("A view of host %s came to the agent of %s and is ignored.", wanted.host, self._host_name)
            return False
        with self._guard:
            newer = wanted.generation > self.generation
            if newer:
                self._view = wanted
        return newer

    def adopt(self, wanted: HostView, asked_with: HostView | None) -> None:
        """Take the answer to a question that was asked while ``asked_with`` was the view.

        It is the truth of now even with a lower generation, when the books were restored from a backup; unless a
        cast has overtaken it.
        """
        with self._guard:
            if self._view is asked_with:
                self._view = wanted
                return
        self.offer(wanted)

    def look_for_provider(self) -> None:
        """Find the provider if it is not known; says once that it waits, and once that it was found."""
        if self._provider_uuid is not None:
            return
        with self._outage.watched():
            with self._one_at_a_time:
                found = self._publisher.find_provider([self._host_name])
            self._found(found)

    def is_idle(self) -> bool:
        """Whether Placement shows no allocations of ours on this host; False when that cannot be told now."""
        wanted = self._view
        if wanted is None or self._provider_uuid is None:
            return False
        try:
            with self._one_at_a_time:
                return self._publisher.is_idle(wanted)
        except errors.CyborgError:
            return False

    def publish(self) -> None:
        """Make Placement equal to the view; does nothing while view or provider is missing."""
        with self._one_at_a_time:
            wanted = self._view
            if wanted is None or self._provider_uuid is None:
                return
            with self._outage.watched():
                try:
                    self._publisher.publish(wanted)
                except errors.NotFound:
                    # Deleted, and perhaps made again with another uuid.
                    self._provider_uuid = None

    def _found(self, uuid: str | None) -> None:
        self._provider_uuid = uuid
        if uuid is not None:
            LOG.info("Host %s is resource provider %s.", self._host_name, uuid)
        elif not self._waiting:
            LOG.warning(
                "Placement has no resource provider named %s yet; it is looked for with every report. If nova-compute "
                "of this host uses another name, set [agent] resource_provider_name.",
                self._host_name,
            )
        self._waiting = uuid is None
