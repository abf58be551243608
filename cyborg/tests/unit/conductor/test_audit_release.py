# SPDX-License-Identifier: Apache-2.0
"""What an audit takes back from a server that is gone is made safe like what the server gives back itself."""

from pathlib import Path

from oslo_config import cfg

from cyborg.conductor.auditing import Auditor
from cyborg.domain import arq
from cyborg.domain.audit import Kind
from cyborg.placement.client import PlacementClient
from cyborg.tests.placement_fixture import PlacementFixture
from cyborg.tests.unit.conductor.house import HOST, PROVIDER, House


def test_a_card_that_an_audit_takes_back_is_cleaned_before_it_is_free(
    tmp_path: Path, placement: PlacementFixture, conf: cfg.ConfigOpts
) -> None:
    placement.create_provider(HOST, uuid=PROVIDER)
    conf.set_override("audit_grace", 0, group="conductor")
    with House(tmp_path) as house:
        client = house.conductor()
        house.host(client, can={"cleans"}, plain=1)
        (request,) = house.request()
        house.bind(client, [request])
        house.until_done()
        house.agents.gate.clear()

        differences = Auditor(conf, house.store, PlacementClient.from_conf(conf), pause=0).run(repair=True)

        assert (request, True) in [
            (one.subject, one.repaired) for one in differences if one.kind is Kind.REQUEST_WITHOUT_CLAIM
        ]
        assert house.states(request) == [arq.State.UNBOUND]
        assert house.units() == ["cleaning"], "the command that audits does no work: it leaves it to the conductors"
        house.agents.gate.set()
        house.until_done()
        assert (house.units(), house.agents.steps()) == (["free"], ["clean"])
