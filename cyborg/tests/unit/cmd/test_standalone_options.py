# SPDX-License-Identifier: Apache-2.0
"""The options of cyborg-standalone: what is given once fits together."""

from pathlib import Path

import pytest

from cyborg.cmd import standalone


@pytest.mark.parametrize(("interval", "down_after"), [(1, 180), (60, 180), (61, 183), (600, 1800)])
def test_a_host_that_reports_seldom_is_not_taken_for_down_between_two_reports(
    tmp_path: Path, interval: int, down_after: int
) -> None:
    conf = standalone.configure(["--state-dir", str(tmp_path), "--interval", str(interval)])
    assert (conf.periodic_interval, conf.api.host_down_after) == (interval, down_after)


def test_a_longer_patience_of_the_configuration_stays(tmp_path: Path) -> None:
    (tmp_path / "cyborg.conf").write_text("[api]\nhost_down_after = 3600\n")
    conf = standalone.configure(["--config-file", str(tmp_path / "cyborg.conf"), "--interval", "300"])
    assert conf.api.host_down_after == 3600
