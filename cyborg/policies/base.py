# SPDX-License-Identifier: Apache-2.0
"""Who may do what, in words: the personas that every rule is built from.

The target of a rule is the project that owns the object. Hardware and profiles belong to nobody; for them it is
the caller's own project. ``from_service`` is true when a valid service token came with the request.
"""

from oslo_policy import policy

ADMIN = "rule:admin_api"
PROJECT_READER_OR_ADMIN = "rule:project_reader_or_admin"
PROJECT_READER_OR_ADMIN_OR_SERVICE = "rule:project_reader_or_admin_or_service"
PROJECT_MEMBER_OR_SERVICE = "rule:project_member_or_service"
PROJECT_MEMBER_OR_ADMIN_OR_SERVICE = "rule:project_member_or_admin_or_service"
PROJECT_MANAGER_OR_ADMIN = "rule:project_manager_or_admin"

LEGACY_ADMIN_OR_OWNER = "rule:admin_or_owner"

Rule = policy.RuleDefault

_PERSONAS = (
    ("admin_api", "role:admin", "Administrators."),
    ("service_api", "role:service or from_service:True", "Other services, by their own token or a service token."),
    ("project_admin_api", "role:admin and project_id:%(project_id)s", "Administrators, in their project."),
    ("project_manager_api", "role:manager and project_id:%(project_id)s", "Managers of the project."),
    ("project_member_api", "role:member and project_id:%(project_id)s", "Members of the project."),
    ("project_reader_api", "role:reader and project_id:%(project_id)s", "Readers of the project."),
    ("project_manager_or_admin", "rule:project_manager_api or rule:admin_api", "Managers and administrators."),
    ("project_member_or_admin", "rule:project_member_api or rule:admin_api", "Members and administrators."),
    ("project_member_or_service", "rule:project_member_api or rule:service_api", "Members and other services."),
    (
        "project_member_or_admin_or_service",
        "rule:project_member_or_service or rule:admin_api",
        "Members, administrators and other services.",
    ),
    ("project_reader_or_admin", "rule:project_reader_api or rule:admin_api", "Readers and administrators."),
    (
        "project_reader_or_admin_or_service",
        "rule:project_reader_or_admin or rule:service_api",
        "Readers, administrators and other services.",
    ),
)

_LEGACY = (
    ("public_api", "is_public_api:True"),
    ("allow", "@"),
    ("deny", "!"),
    ("default", LEGACY_ADMIN_OR_OWNER),
    ("is_admin", "role:admin or role:administrator"),
    ("admin_or_owner", "is_admin:True or project_id:%(project_id)s"),
    ("admin_or_user", "is_admin:True or user_id:%(user_id)s"),
)


def list_rules() -> list[Rule]:
    personas = [policy.RuleDefault(name, check, description=words) for name, check, words in _PERSONAS]
    legacy = [
        policy.RuleDefault(name, check, description="Kept for policy files that name it; no default uses it.")
        for name, check in _LEGACY
    ]
    return personas + legacy


def operation(
    name: str, check: str, description: str, served: tuple[str, ...], legacy: str | None = None
) -> policy.DocumentedRuleDefault:
    """The rule of one operation, ``served`` as "METHOD /path".

    ``legacy`` also grants it where [oslo_policy] enforce_new_defaults is off.
    """
    deprecated = None
    if legacy is not None:
        deprecated = policy.DeprecatedRule(
            name,
            legacy,
            deprecated_reason="The default now tells readers, members and managers apart.",
            deprecated_since="1.0.0",
        )
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=check,
        description=description,
        operations=[{"method": one.split(" ", 1)[0], "path": one.split(" ", 1)[1]} for one in served],
        scope_types=["project"],
        deprecated_rule=deprecated,
    )
