# SPDX-License-Identifier: Apache-2.0
"""Nova's fake hypervisor, which here behaves like a real one in two ways that matter to accelerators.

Guests go on while nova-compute is down, and a guest has the cards that it was started with. Both are in the file
``guests.json`` below ``[DEFAULT] instances_path``, where tests read it:

    {"0b9f...": {"name": "instance-00000001", "state": 1, "cards": [{"type": "PCI", "address": "0000:10:00.0"}]}}
"""

import json
import threading
from pathlib import Path
from typing import Any

import nova.conf
from nova.compute import power_state
from nova.virt import fake


class Hypervisor(fake.FakeDriverWithoutFakeNodes):
    def __init__(self, virtapi: Any, read_only: bool = False) -> None:
        super().__init__(virtapi, read_only)
        self._file = Path(nova.conf.CONF.instances_path) / "guests.json"
        self._cards: dict[str, list[dict[str, str]]] = {}
        # Nova builds several servers at once, and an older picture must not be the last that is written.
        self._saving = threading.Lock()

    def init_host(self, host: str) -> None:
        super().init_host(host)
        if self._file.exists():
            for uuid, guest in json.loads(self._file.read_text(encoding="utf-8")).items():
                self.instances[uuid] = fake.FakeInstance(guest["name"], guest["state"], uuid)
                self._cards[uuid] = guest["cards"]

    def spawn(self, context: Any, instance: Any, *rest: Any, accel_info: Any = None, **named: Any) -> None:
        super().spawn(context, instance, *rest, accel_info=accel_info, **named)
        self._started(instance, accel_info)

    def reboot(self, context: Any, instance: Any, network_info: Any, reboot_type: str, **named: Any) -> None:
        super().reboot(context, instance, network_info, reboot_type, **named)
        if reboot_type.lower() == "hard":
            self._started(instance, named.get("accel_info"))

    def power_on(self, context: Any, instance: Any, network_info: Any, *rest: Any, **named: Any) -> None:
        super().power_on(context, instance, network_info, *rest, **named)
        # Block devices, accelerators, shares: a start gives all three like this, a reboot none.
        if rest:
            self._started(instance, rest[1])

    def power_off(self, instance: Any, *rest: Any, **named: Any) -> None:
        super().power_off(instance, *rest, **named)
        self._cards[instance.uuid] = []
        self._save()

    def destroy(self, context: Any, instance: Any, *rest: Any, **named: Any) -> None:
        super().destroy(context, instance, *rest, **named)
        self._cards.pop(instance.uuid, None)
        self._save()

    def _started(self, instance: Any, accel_info: Any) -> None:
        self._cards[instance.uuid] = [_card(request) for request in accel_info or ()]
        self._save()

    def _save(self) -> None:
        with self._saving:
            guests = {
                uuid: {"name": guest.name, "state": guest.state, "cards": self._cards.get(uuid, [])}
                for uuid, guest in list(self.instances.items())
                if guest.state in (power_state.RUNNING, power_state.SHUTDOWN)
            }
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(guests), encoding="utf-8")
            new.replace(self._file)


def _card(request: Any) -> dict[str, str]:
    info = request["attach_handle_info"]
    return {
        "type": request["attach_handle_type"],
        "address": f"{info['domain']}:{info['bus']}:{info['device']}.{info['function']}",
    }
