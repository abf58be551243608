# SPDX-License-Identifier: Apache-2.0
"""How the release notes are built."""

project = "Cyborg Release Notes"
author = "OpenStack"
extensions = ["openstackdocstheme", "reno.sphinxext"]
html_theme = "openstackdocs"
openstackdocs_repo_name = "openstack/cyborg"
openstackdocs_auto_name = False
root_doc = "index"
exclude_patterns: list[str] = []
