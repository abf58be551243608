# SPDX-License-Identifier: Apache-2.0
"""Providers that nova-compute manages: ask Nova to show our class, then steer with ``reserved``.

Inventory written there from outside is deleted by Nova within minutes, and when a consumer holds a unit by then
the host stops building servers. So the class comes from Nova, by way of the provider config file:

    Nova does not show the class    the file is written, no trait of ours is shown
    nova-compute was restarted      it shows total 68, reserved 0; without our traits nothing is scheduled yet
    from then on                    reserved = 68 - usable, and after that the traits

Nova does not compare ``reserved``, but sets it to 0 whenever it writes the class for another reason.
"""

from collections.abc import Collection
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from cyborg.conf import placement as options
from cyborg.domain import errors, view
from cyborg.placement import target
from cyborg.placement.provider_config import ProviderConfigFile
from cyborg.placement.providers import Snapshot

LOG = log.getLogger(__name__)


class NovaManaged:
    """Tells the operator once what has to be done, and again when that changes."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        group = conf[options.GROUP]
        self._file = ProviderConfigFile(Path(group.nova_provider_config), group.nova_inventory_headroom)
        self._said: dict[str, str] = {}

    def target(
        self, name: str, snapshot: Snapshot, wanted: view.Provider, not_by_nova: Collection[str] = ()
    ) -> target.Target:
        """What provider ``name`` has to become now.

        ``not_by_nova`` are classes that are there although Nova does not know them: taken away again.
        """
        classes = {resource_class for resource_class, amount in wanted.inventories.items() if amount.total}
        missing = {each for each in classes if each not in snapshot.inventories or each in not_by_nova}
        present = classes - missing
        short = {each for each in present if wanted.inventories[each].usable > snapshot.inventories[each].total}
        if missing or short:
            self._ask_nova(name, wanted, missing=missing, short=short)
        else:
            self._done(wanted.uuid)
        steered = target.steered(snapshot, wanted, shown=not missing)
        return target.Target(
            inventories={**steered.inventories, **dict.fromkeys(not_by_nova)},
            traits=steered.traits,
        )

    def _ask_nova(self, name: str, wanted: view.Provider, *, missing: Collection[str], short: Collection[str]) -> None:
        needed = {each: amount.total for each, amount in wanted.inventories.items() if amount.total}
        try:
            self._file.ensure(name, wanted.uuid, needed)
        except (errors.Conflict, OSError) as exc:
            message = f"Nova cannot be asked to show {_list(needed)} on provider {name}: {exc}"
            self._say(wanted.uuid, message, log.ERROR)
            return
        if missing:
            self._say(
                wanted.uuid,
                f"Restart nova-compute on {name} once: {self._file.path} asks it to show {_list(missing)}. "
                "Until it does, no accelerator of this host is scheduled.",
                log.WARNING,
            )
        else:
            self._say(
                wanted.uuid,
                f"Host {name} has more accelerators to offer than Nova shows of {_list(short)}. {self._file.path} "
                f"allows for more now: restart nova-compute once, and raise [{options.GROUP}] nova_inventory_headroom.",
                log.ERROR,
            )

    def _say(self, uuid: str, message: str, level: int) -> None:
        if self._said.get(uuid) != message:
            self._said[uuid] = message
            LOG.log(level, message)

    def _done(self, uuid: str) -> None:
        if self._said.pop(uuid, None):
            LOG.info("Nova shows all classes of ours on provider %s now.", uuid)


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
