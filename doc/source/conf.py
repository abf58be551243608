# SPDX-License-Identifier: Apache-2.0
"""How the documentation is built; the references are generated from the code by the extensions below."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "doc" / "ext"), str(ROOT)]

project = "Cyborg"
author = "OpenStack"
extensions = [
    "openstackdocstheme",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "arq_states",
    "driver_table",
]
html_theme = "openstackdocs"
openstackdocs_repo_name = "openstack/cyborg"
openstackdocs_auto_name = False
openstackdocs_pdf_link = False
openstackdocs_use_storyboard = False
root_doc = "index"
pygments_style = "native"
