# SPDX-License-Identifier: Apache-2.0
"""Who may do what: one module per resource, each rule documented where it is defined.

The sample policy file is generated from `list_rules`; `Enforcer` is what the API asks.
"""

from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from cyborg import conf as configuration
from cyborg import context
from cyborg.domain import errors
from cyborg.policies import (
    accelerator_requests,
    accelerators,
    attributes,
    base,
    deployables,
    device_profiles,
    devices,
    hosts,
    operations,
)


def list_rules() -> list[base.Rule]:
    """Every rule; what oslopolicy's generators ask for."""
    hardware = (devices, deployables, attributes, accelerators, hosts)
    rooms = (base, device_profiles, accelerator_requests, *hardware, operations)
    return [rule for room in rooms for rule in room.list_rules()]


def get_enforcer() -> policy.Enforcer:
    """What oslopolicy's command line tools ask for: the enforcer of the configuration in its usual places."""
    conf = configuration.new_config()
    conf([], project=configuration.PROJECT)
    return Enforcer(conf).oslo


class Enforcer:
    """Answers may-this-caller-do-that, from the defaults here and the operator's policy file."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.oslo = policy.Enforcer(conf)
        self.oslo.suppress_default_change_warnings = True
        self.oslo.suppress_deprecation_warnings = True
        self.oslo.register_defaults(list_rules())

    def authorize(self, rule: str, target: Mapping[str, Any], caller: context.RequestContext) -> None:
        """Return when ``rule`` lets the caller act on ``target``; else raises Forbidden that names the rule."""
        values = caller.to_policy_values()
        credentials = {name: values[name] for name in values}
        credentials |= {"is_admin": caller.is_admin, "from_service": caller.from_service}
        try:
            self.oslo.authorize(rule, dict(target), credentials, do_raise=True)
        except policy.InvalidScope as exc:
            raise errors.Forbidden(f"Policy does not allow {rule} with this token: use one of a project.") from exc
        except policy.PolicyNotAuthorized as exc:
            raise errors.Forbidden(f"Policy does not allow {rule} to be performed.") from exc
