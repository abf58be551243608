# SPDX-License-Identifier: Apache-2.0
"""The one function that runs as root: an action of `actions` on this machine, for an agent that is an ordinary user.

oslo.privsep keeps it in a process of its own, started by [cyborg_sys_admin] helper_command when the first action is
asked for. What crosses to it are the name of an action, an address or uuid, and a number: it looks them up in the same
table as the agent does, so a caller that was taken over can do what the agent may do, and nothing else. It has no
capabilities: being the owner of the files in sysfs is all that it takes to write them.
"""

from pathlib import Path

from oslo_config import cfg
from oslo_privsep import daemon, priv_context

from cyborg.domain import errors
from cyborg.drivers import actions

GROUP = "cyborg_sys_admin"
SYSFS = Path("/sys")
#: Seconds; a card may take long to make its virtual functions.
TIMEOUT = 60.0

cyborg_sys_admin = priv_context.PrivContext(
    "cyborg", cfg_section=GROUP, pypath=f"{__name__}.cyborg_sys_admin", capabilities=[], timeout=TIMEOUT
)


def act(action: str, subject: str, value: str, helper_command: str) -> None:
    """As `Host.act`; raises DriverError when there is no helper to do it. The first command counts for the process."""
    actions.resolve(action, subject, value)
    try:
        if cyborg_sys_admin.client_mode and cyborg_sys_admin.channel is None:
            # oslo.privsep reads the global configuration only, which nobody fills here.
            cfg.CONF.set_override("helper_command", helper_command, group=GROUP)
            cyborg_sys_admin.start()
    except (daemon.FailedToDropPrivileges, OSError) as exc:
        raise errors.DriverError(
            f"The helper that writes kernel files does not start: {exc}. Check [{GROUP}] helper_command, and that sudo "
            "allows it without a password."
        ) from exc
    _act(action, subject, value)


@cyborg_sys_admin.entrypoint
def _act(action: str, subject: str, value: str) -> None:
    """On the other side. What comes in is checked here, whoever checked it before."""
    path, text = actions.resolve(action, subject, value)
    with (SYSFS / path).open("w", encoding="utf-8") as file:
        file.write(text)
