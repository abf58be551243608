# SPDX-License-Identifier: Apache-2.0
"""The provider config file: how nova-compute is told to show our class on a provider that it manages.

nova-compute reads it once, when it starts, so its total is a ceiling with room for cards that come later. It
carries neither ``reserved``, which is ours to change while Nova runs, nor traits, which Nova would put back.

    meta:
      schema_version: '1.0'
    providers:
    - identification:
        uuid: 6d1f...
      inventories:
        additional:
        - CUSTOM_ACCELERATOR:
            total: 68
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cyborg.domain import errors

HEADER = "# Written by cyborg-agent. nova-compute reads it when it starts.\n"
EVERY_COMPUTE_NODE = "$COMPUTE_NODE"
READABLE_BY_NOVA = 0o644


class ProviderConfigFile:
    """One file for one provider."""

    def __init__(self, path: Path, headroom: int) -> None:
        self.path = path
        self._headroom = headroom

    def ensure(self, name: str, uuid: str, needed: Mapping[str, int]) -> bool:
        """Make the file allow for ``needed`` units of each class; True when it had to be written.

        A file that allows for more stays as it is. Raises Conflict when another file names the provider already
        (nova-compute would not start), and OSError when ours cannot be written.
        """
        present = _ceilings(_read(self.path), uuid)
        if all(present.get(resource_class, 0) >= units for resource_class, units in needed.items()):
            return False
        self._refuse_second_definition(name, uuid, needed)
        _replace(self.path, _text(uuid, {name: units + self._headroom for name, units in sorted(needed.items())}))
        return True

    def remove(self, uuid: str) -> bool:
        """Take the file away if it is ours and of this provider alone; True when it is gone by that."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return False
        named = [provider["identification"].get("uuid") for provider in _providers(_read(self.path))]
        if not text.startswith(HEADER) or named != [uuid]:
            return False
        self.path.unlink(missing_ok=True)
        return True

    def _refuse_second_definition(self, name: str, uuid: str, needed: Mapping[str, int]) -> None:
        for other in sorted(self.path.parent.glob("*.yaml")):
            if other != self.path and any(_names(provider, name, uuid) for provider in _providers(_read(other))):
                wanted = ", ".join(f"{each} with total {units}" for each, units in sorted(needed.items()))
                raise errors.Conflict(
                    f"{other} configures provider {name} already, and nova-compute refuses a provider that is named "
                    f"twice. Add {wanted} or more to its additional inventories there."
                )


def _read(path: Path) -> Any:
    """The content, None when there is none or when it is not YAML: nova-compute itself complains about that."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _providers(document: Any) -> Iterator[Mapping[str, Any]]:
    entries = document.get("providers") if isinstance(document, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("identification"), dict):
            yield entry


def _names(provider: Mapping[str, Any], name: str, uuid: str) -> bool:
    identification = provider["identification"]
    return identification.get("uuid") in {uuid, EVERY_COMPUTE_NODE} or identification.get("name") == name


def _ceilings(document: Any, uuid: str) -> dict[str, int]:
    """Class to total, of the entry for this provider; {} when it is not in the form that Nova reads."""
    try:
        return {
            name: int(fields["total"])
            for provider in _providers(document)
            if provider["identification"].get("uuid") == uuid
            for entry in provider["inventories"]["additional"]
            for name, fields in entry.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _text(uuid: str, totals: Mapping[str, int]) -> str:
    document = {
        "meta": {"schema_version": "1.0"},
        "providers": [
            {
                "identification": {"uuid": uuid},
                "inventories": {"additional": [{name: {"total": total}} for name, total in totals.items()]},
            }
        ],
    }
    return HEADER + yaml.safe_dump(document, sort_keys=False)


def _replace(path: Path, text: str) -> None:
    """The whole new file or the old one, at any moment; the name in between is none that Nova reads."""
    path.parent.mkdir(exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.chmod(READABLE_BY_NOVA)
    new.replace(path)
