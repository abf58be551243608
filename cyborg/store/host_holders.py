# SPDX-License-Identifier: Apache-2.0
"""Who holds which accelerator changes by compare-and-set: one statement each way, and the count is checked.

The lock of the host's row already keeps two decisions apart. This is the second bolt: a decision that was made
on an old picture of the host ends in Conflict, and never in a unit with a stolen holder.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import oslo_db.exception as oslo
from sqlalchemy import case, update

from cyborg.domain import errors, inventory
from cyborg.store.engine import Transaction
from cyborg.store.models import Accelerator

Units = Mapping[str, inventory.Accelerator]


def let_go(tx: Transaction, old: Units, new: Units) -> None:
    """Holders that ``new`` does not have any more, those of units that went included."""
    holders = {
        unit.id: unit.holder
        for uuid, unit in old.items()
        if unit.holder and (uuid not in new or new[uuid].holder != unit.holder)
    }
    if not holders:
        return
    statement = (
        update(Accelerator)
        .where(Accelerator.id.in_(holders), Accelerator.arq_uuid.in_(holders.values()))
        .values(arq_uuid=None)
    )
    if tx.execute(statement).rowcount != len(holders):
        raise errors.Conflict("An accelerator to be released is held by another request by now; load the host again.")


def take_hold(tx: Transaction, old: Units, new: Units) -> None:
    """Holders that stored units did not have; a new unit is inserted with its own."""
    holders = {
        unit.id: new[uuid].holder
        for uuid, unit in old.items()
        if uuid in new and new[uuid].holder and new[uuid].holder != unit.holder
    }
    if not holders:
        return
    statement = (
        update(Accelerator)
        .where(Accelerator.id.in_(holders), Accelerator.arq_uuid.is_(None))
        .values(arq_uuid=case(holders, value=Accelerator.id))
    )
    with checked():
        taken = tx.execute(statement).rowcount
    if taken != len(holders):
        raise errors.Conflict("An accelerator to be claimed is held by another request by now; load the host again.")


@contextmanager
def checked() -> Iterator[None]:
    """What the schema says about a new holder, as domain errors."""
    try:
        yield
    except oslo.DBDuplicateEntry as error:
        raise errors.Conflict("An accelerator request holds an accelerator already and cannot hold two.") from error
    except oslo.DBReferenceError as error:
        raise errors.NotFound("An accelerator request was deleted while an accelerator was claimed for it.") from error
