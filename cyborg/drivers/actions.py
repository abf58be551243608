# SPDX-License-Identifier: Apache-2.0
"""Everything that we ever write to a host's kernel: an action, on one function or one mediated device.

    resolve("vf_count", "0000:3b:00.0", "4")     ("bus/pci/devices/0000:3b:00.0/sriov_numvfs", "4")

Whoever asks names no path: the place and the text follow from this table, and what does not match is refused. So it can
be done by a process with more rights than the one that asks (`privileged`).
"""

import re
from dataclasses import dataclass

from cyborg.domain import errors
from cyborg.drivers.pci_function import ADDRESS

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NUMBER = re.compile(r"\d{1,5}")
SWITCH = re.compile(r"[01]")
ONE = re.compile(r"1")
UP_OR_DOWN = re.compile(r"up|down")
QAT_SERVICE = r"(sym|asym|dc|dcc|decomp)"
QAT_SERVICE_LIST = re.compile(rf"{QAT_SERVICE}(;{QAT_SERVICE}){{0,2}}")
DRIVER_NAME = re.compile(r"[A-Za-z0-9_-]{0,32}")

VF_COUNT = "vf_count"
VF_AUTOPROBE = "vf_autoprobe"
RESET = "reset"
VGPU_TYPE = "vgpu_type"
REMOVE_MDEV = "remove_mdev"
OVERRIDE_DRIVER = "override_driver"
UNBIND = "unbind"
PROBE = "probe"
RESET_BOARD = "reset_board"
QAT_STATE = "qat_state"
QAT_SERVICES = "qat_services"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """``file`` below sysfs with the subject in place of ``{}``; the text is the value, or the subject itself."""

    file: str
    value: re.Pattern[str] = ONE
    subject: re.Pattern[str] = ADDRESS
    writes_subject: bool = False


ACTIONS = {
    VF_COUNT: Action(file="bus/pci/devices/{}/sriov_numvfs", value=NUMBER),
    VF_AUTOPROBE: Action(file="bus/pci/devices/{}/sriov_drivers_autoprobe", value=SWITCH),
    RESET: Action(file="bus/pci/devices/{}/reset"),
    VGPU_TYPE: Action(file="bus/pci/devices/{}/nvidia/current_vgpu_type", value=NUMBER),
    REMOVE_MDEV: Action(file="bus/mdev/devices/{}/remove", subject=UUID),
    OVERRIDE_DRIVER: Action(file="bus/pci/devices/{}/driver_override", value=DRIVER_NAME),
    UNBIND: Action(file="bus/pci/devices/{}/driver/unbind", writes_subject=True),
    PROBE: Action(file="bus/pci/drivers_probe", writes_subject=True),
    RESET_BOARD: Action(file="bus/pci/devices/{}/mgmt_reset"),
    QAT_STATE: Action(file="bus/pci/devices/{}/qat/state", value=UP_OR_DOWN),
    QAT_SERVICES: Action(file="bus/pci/devices/{}/qat/cfg_services", value=QAT_SERVICE_LIST),
}


def attribute(action: str) -> str:
    """What the file of a known action is called, to be named where its path would tell nobody anything."""
    return ACTIONS[action].file.rpartition("/")[2]


def resolve(action: str, subject: str, value: str = "1") -> tuple[str, str]:
    """(file below sysfs, text); raises InvalidRequest for what is not in the table."""
    known = ACTIONS.get(action)
    if known is None or not known.subject.fullmatch(subject) or not known.value.fullmatch(value):
        raise errors.InvalidRequest(
            f"{action!r} on {subject!r} with {value!r} is nothing that may be written to this host's kernel. "
            f"Actions are: {', '.join(sorted(ACTIONS))}."
        )
    # A write of nothing never reaches a kernel file, and a name is only taken back by an empty line.
    return known.file.format(subject), subject if known.writes_subject else value or "\n"
