# SPDX-License-Identifier: Apache-2.0
"""How an FPGA is made safe for its next guest, as far as the operator decides that: a reset leaves its function."""

from enum import StrEnum

from cyborg.domain import errors


class Cleaning(StrEnum):
    BLANK = "blank"
    RESET = "reset"
    POWER_CYCLE = "power_cycle"


DEST = "cleaning"
WHAT_RESET_LEAVES = "reset the function only; what the last guest loaded and stored there is the next one's too"


def refusal(address: str, why: str, group: str) -> errors.DriverError:
    """That the card is not safe, and what the operator can do."""
    return errors.DriverError(
        f"{why}, so the function that the last guest left in {address} would be the next one's. Clean the card by "
        f"hand, or set [{group}] {DEST} = {Cleaning.RESET} to accept that."
    )
