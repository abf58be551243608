# SPDX-License-Identifier: Apache-2.0
"""nova-compute of one host, as far as Placement sees it.

It reads the provider config files once, when it starts. A refresh replaces the whole inventory when a field that it
sets itself differs; fields that it does not set are not compared, and lost when it writes. Where somebody holds a unit
of a class that it would take away it cannot write, and does not start: an AssertionError here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cyborg.tests.placement_fixture import Outsider

OWN = {"VCPU": {"total": 8}, "MEMORY_MB": {"total": 4096}}
TRAITS = {"COMPUTE_NODE", "OWNER_NOVA"}


class NovaCompute:
    """``own`` is what Nova's driver says of the host; ``directory`` holds the provider config files."""

    def __init__(
        self, placement: Outsider, provider: str, directory: Path, own: Mapping[str, Mapping[str, Any]] = OWN
    ) -> None:
        self._placement = placement
        self._directory = directory
        self._own = own
        self._additional: dict[str, dict[str, Any]] = {}
        self.provider = provider

    def start(self) -> None:
        self._additional = self._read_files()
        self.refresh()
        self._placement.put_traits(self.provider, self._placement.traits(self.provider) | TRAITS)

    def refresh(self) -> None:
        """Read the provider anew; nothing is written while all fields are as it wants them."""
        shown, wanted = self._placement.inventories(self.provider), self._inventories
        same = set(shown) == set(wanted) and all(
            shown[name][field] == value for name, fields in wanted.items() for field, value in fields.items()
        )
        if not same:
            self._placement.put_inventories(self.provider, wanted)

    def resize(self, own: Mapping[str, Mapping[str, Any]]) -> None:
        """The host has other resources of Nova's: it writes them, and with them everything that it knows."""
        self._own = own
        self.refresh()

    @property
    def _inventories(self) -> dict[str, Mapping[str, Any]]:
        return {**self._own, **self._additional}

    def _read_files(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self._directory.glob("*.yaml")):
            document = yaml.safe_load(path.read_text())
            assert document["meta"] == {"schema_version": "1.0"}
            for provider in document["providers"]:
                assert "traits" not in provider
                if provider["identification"] in ({"uuid": self.provider}, {"uuid": "$COMPUTE_NODE"}):
                    for entry in provider["inventories"]["additional"]:
                        found |= entry
        return found
