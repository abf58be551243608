# SPDX-License-Identifier: Apache-2.0
"""Configuration files of the cloud, with intervals that are short: those of Nova that matter here are named below."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyborg.tests.functional.keystone_fixture import PASSWORD, REGION

#: Seconds. Nova's own defaults are 60, 300 and 300.
NOVA_PERIOD = 10
NOVA_REFRESH = 20
NOVA_BIND_TIMEOUT = 30
OUR_PERIOD = 2
#: Whoever boots a server here may say on which host.
NOVA_POLICY = '"compute:servers:create:requested_destination": "@"\n'

Sections = Mapping[str, Mapping[str, Any]]


def write(path: Path, sections: Sections) -> Path:
    lines = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {value}" for name, value in options.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def user(name: str, auth_url: str) -> dict[str, Any]:
    """The credentials of a service's own user, as every section takes them."""
    return {
        "auth_type": "password",
        "auth_url": auth_url,
        "username": name,
        "password": PASSWORD,
        "user_domain_name": "Default",
        "project_name": "service",
        "project_domain_name": "Default",
        "region_name": REGION,
    }


def _token_checks(name: str, auth_url: str) -> dict[str, Any]:
    return user(name, auth_url) | {
        "www_authenticate_uri": auth_url,
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }


def nova(directory: Path, *, auth_url: str, transport_url: str, databases: Mapping[str, str]) -> Sections:
    """nova.conf of all its processes; ``databases`` has the URLs of ``api`` and ``cell``."""
    policy = directory / "nova-policy.yaml"
    policy.write_text(NOVA_POLICY, encoding="utf-8")
    ours = user("nova", auth_url)
    others = {"region_name": REGION, "valid_interfaces": "public"}
    return {
        "DEFAULT": {
            "transport_url": transport_url,
            "my_ip": "127.0.0.1",
            "compute_driver": "hypervisor.Hypervisor",
            "state_path": directory,
            "report_interval": 3,
            "service_down_time": 15,
            "update_resources_interval": NOVA_PERIOD,
            "heal_instance_info_cache_interval": -1,
            "sync_power_state_interval": -1,
            "arq_binding_timeout": NOVA_BIND_TIMEOUT,
            # It says there, and only then, that it reads its provider anew.
            "default_log_levels": "nova.scheduler.client.report=DEBUG,amqp=ERROR,neutronclient=ERROR",
            "instances_path": directory / "instances",
        },
        "api_database": {"connection": databases["api"]},
        "database": {"connection": databases["cell"]},
        "keystone_authtoken": _token_checks("nova", auth_url),
        "service_user": ours | {"send_service_user_token": True},
        "placement": ours,
        "neutron": ours,
        "glance": others,
        "cyborg": others,
        "compute": {
            "resource_provider_association_refresh": NOVA_REFRESH,
            "provider_config_location": directory / "provider_config",
        },
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 2},
        "oslo_concurrency": {"lock_path": directory / "locks"},
        "oslo_policy": {"policy_file": policy},
    }


def nova_host(directory: Path, name: str) -> Sections:
    """What is different on each compute host."""
    return {
        "DEFAULT": {"host": name, "state_path": directory, "instances_path": directory / "instances"},
        "compute": {"provider_config_location": directory / "provider_config"},
        "oslo_concurrency": {"lock_path": directory / "locks"},
    }


def ours(directory: Path, *, auth_url: str, transport_url: str, database: str, port: int) -> Sections:
    """cyborg.conf of all our processes."""
    credentials = user("cyborg", auth_url)
    return {
        "DEFAULT": {
            "transport_url": transport_url,
            "state_path": directory,
            "periodic_interval": OUR_PERIOD,
            "bind_timeout": 10,
        },
        "api": {"host_ip": "127.0.0.1", "port": port, "api_workers": 2},
        "database": {"connection": database},
        "keystone_authtoken": _token_checks("cyborg", auth_url),
        "placement": credentials,
        "nova": credentials,
        "conductor": {
            "operation_interval": 1,
            "operation_lease": 5,
            "audit_interval": 0,
            "audit_grace": 5,
        },
    }


def our_host(directory: Path, name: str, *, tree: Path, provider_config: Path, layout: str, units: int) -> Sections:
    """What is different for each agent: two drivers, one of which looks at a recorded host."""
    return {
        "DEFAULT": {"host": name, "state_path": directory},
        "agent": {
            "enabled_drivers": "nvidia_gpu_driver,fake_driver",
            "resource_provider_name": name,
            # Recorded cards cannot be reset.
            "clean": "false",
            **{f"{root}fs_root": tree / root for root in ("sys", "dev", "proc")},
        },
        "fake_devices": {"devices": 1, "accelerators": units, "type": "FPGA"},
        "placement": {
            "provider_layout": layout,
            "nova_provider_config": provider_config / "cyborg.yaml",
        },
    }
