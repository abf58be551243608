# SPDX-License-Identifier: Apache-2.0
"""Credentials may stand in another section."""

import os
from pathlib import Path

import keystoneauth1.exceptions
import pytest
from oslo_config import cfg

from cyborg import conf as configuration
from cyborg.clients import nova
from cyborg.conf import credentials
from cyborg.domain import errors

PASSWORD = "auth_type = password\nauth_url = http://127.0.0.1:1/v3\nusername = cyborg\npassword = x\n"


def read(path: Path, text: str) -> cfg.ConfigOpts:
    path.write_text(text, encoding="utf-8")
    return configuration.load(["--config-file", str(path)], prog="test")


@pytest.fixture(autouse=True)
def nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """oslo.config takes options from variables such as OS_PLACEMENT__AUTH_URL, before any file."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("group", ["placement", "nova"])
@pytest.mark.parametrize("section", ["keystone_authtoken", "service_user"])
def test_another_section_is_used_where_auth_section_names_it(tmp_path: Path, group: str, section: str) -> None:
    conf = read(tmp_path / "cyborg.conf", f"[{group}]\nauth_section = {section}\n[{section}]\n{PASSWORD}")
    assert credentials.load(conf, group).auth_url == "http://127.0.0.1:1/v3"


def test_nova_is_told_with_the_credentials_of_another_section(tmp_path: Path) -> None:
    conf = read(tmp_path / "cyborg.conf", f"[nova]\nauth_section = service_user\n[service_user]\n{PASSWORD}")
    assert isinstance(nova.from_conf(conf), nova.Nova)


def test_without_credentials_there_are_none(tmp_path: Path) -> None:
    assert credentials.load(read(tmp_path / "cyborg.conf", ""), "placement") is None


def test_half_of_the_credentials_is_an_error(tmp_path: Path) -> None:
    conf = read(tmp_path / "cyborg.conf", "[placement]\nauth_type = password\n")
    with pytest.raises(keystoneauth1.exceptions.MissingRequiredOptions):
        credentials.load(conf, "placement")


def test_the_conductor_starts_without_nova_and_what_is_to_be_told_is_tried_again(tmp_path: Path) -> None:
    conf = read(tmp_path / "cyborg.conf", f"[nova]\n{PASSWORD}")
    event = nova.Event(arq_uuid="a", instance_uuid="i", completed=True)
    for _ in range(2):
        with pytest.raises(errors.Unavailable, match="Nova cannot be reached"):
            nova.from_conf(conf).send([event])
