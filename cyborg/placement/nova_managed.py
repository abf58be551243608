# SPDX-License-Identifier: Apache-2.0
"""Providers that nova-compute manages: ask Nova to show our class, then steer with ``reserved``.

Inventory written there from outside is deleted by Nova within minutes, and when a consumer holds a unit by then
the host stops building servers. So the class comes from Nova, by way of the provider config file:

    Nova does not show the class    the file is written, no trait of ours is shown
    nova-compute was restarted      it shows total 68, reserved 0; without our traits nothing is scheduled yet
    from then on                    reserved = 68 - usable, and after that the traits

Nova does not compare ``reserved``, but sets it to 0 whenever it writes the class for another reason.

In the layout ``nested`` the class has no business there. While Nova still shows it, it stays closed; the file is taken
away only when nobody holds a unit of the class any more, because nova-compute would not start otherwise.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from cyborg.conf import placement as options
from cyborg.domain import errors, view
from cyborg.domain.shape import Layout
from cyborg.placement.provider_config import ProviderConfigFile
from cyborg.placement.providers import CUSTOM_PREFIX, Snapshot
from cyborg.placement.target import Target, steered

LOG = log.getLogger(__name__)


class NovaManaged:
    """Tells the operator once what has to be done, and again when that changes."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        group = conf[options.GROUP]
        self._wish = Layout(group.provider_layout)
        self._file = ProviderConfigFile(Path(group.nova_provider_config), group.nova_inventory_headroom)
        self._said: dict[str, str] = {}

    def target(self, name: str, snapshot: Snapshot, wanted: view.Provider, not_by_nova: Collection[str] = ()) -> Target:
        """What provider ``name`` has to become now.

        ``not_by_nova`` are classes that are there although Nova does not know them: taken away again.
        """
        standard = _standard(wanted)
        if standard:
            self._refuse_standard(name, wanted.uuid, standard)
            custom = {each: amount for each, amount in wanted.inventories.items() if each not in standard}
            return steered(snapshot, dataclasses.replace(wanted, inventories=custom), shown=False)
        classes = {resource_class for resource_class, amount in wanted.inventories.items() if amount.total}
        missing = {each for each in classes if each not in snapshot.inventories or each in not_by_nova}
        present = classes - missing
        short = {each for each in present if wanted.inventories[each].usable > snapshot.inventories[each].total}
        if missing or short:
            self._ask_nova(name, wanted, missing=missing, short=short)
        else:
            self._done(wanted.uuid)
        after = steered(snapshot, wanted, shown=not missing)
        return Target(
            inventories={**after.inventories, **dict.fromkeys(not_by_nova)},
            traits=after.traits,
        )

    def target_beside_children(
        self, whole: view.HostView, snapshot: Snapshot, usages: Callable[[str], Mapping[str, int]]
    ) -> Target:
        """What the provider has to become while the accelerators are shown below it: closed for our classes.

        ``usages`` tells the units of each class that are held on a provider.
        """
        wanted, *below = whole.providers
        shown = {each for each in wanted.inventories if each in snapshot.inventories}
        units: Counter[str] = Counter()
        for provider in below:
            for each, amount in provider.inventories.items():
                if each in view.COUNTING_CLASSES:
                    units[each] += amount.total
                elif view.is_of_units(each):
                    units[view.GENERIC_CLASS] += amount.total
        if self._wish is Layout.COMPUTE_NODE and units.total():
            needed = {each: view.Amount(total=total) for each, total in units.items()}
            if not needed.keys() <= shown:
                self._ask_nova(
                    whole.host,
                    dataclasses.replace(wanted, inventories=needed),
                    missing=needed.keys() - shown,
                    meanwhile="Until then the host keeps the layout nested.",
                )
            else:
                self._done(wanted.uuid)
        elif not shown or not shown & {each for each, units in usages(wanted.uuid).items() if units}:
            self._let_nova_forget(whole.host, wanted.uuid, shown)
        return steered(snapshot, wanted, shown=True)

    def _let_nova_forget(self, name: str, uuid: str, shown: Collection[str]) -> None:
        """Nobody holds a unit of these classes, and nobody can: they are closed, or not there."""
        try:
            self._file.remove(uuid)
        except OSError as exc:
            self._say(uuid, f"{self._file.path} is not needed any more and cannot be removed: {exc}", log.ERROR)
            return
        if not shown:
            self._done(uuid)
            return
        again = f"Take it out of {self._file.path} and restart" if self._file.path.exists() else "Restart"
        self._say(
            uuid,
            f"Nova still shows {_list(shown)} on provider {name}, which is closed and which nobody holds any more. "
            f"{again} nova-compute on {name} once, at any time.",
            log.WARNING,
        )

    def _refuse_standard(self, name: str, uuid: str, standard: Collection[str]) -> None:
        self._say(
            uuid,
            f"Nova manages provider {name} and can be asked to show classes that begin with CUSTOM_ only, not "
            f"{_list(standard)}: no accelerator of this host is scheduled. Set [{options.GROUP}] "
            "resource_class_naming = generic, or provider_layout = nested.",
            log.ERROR,
        )

    def _ask_nova(
        self,
        name: str,
        wanted: view.Provider,
        *,
        missing: Collection[str],
        short: Collection[str] = (),
        meanwhile: str = "Until it does, no accelerator of this host is scheduled.",
    ) -> None:
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
                f"Restart nova-compute on {name} once: {self._file.path} asks it to show {_list(missing)}. {meanwhile}",
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


def _standard(wanted: view.Provider) -> set[str]:
    return {each for each, amount in wanted.inventories.items() if amount.total and not each.startswith(CUSTOM_PREFIX)}


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
