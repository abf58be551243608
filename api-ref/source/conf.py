# SPDX-License-Identifier: Apache-2.0
"""How the API reference is built."""

project = "Accelerator API Reference"
author = "OpenStack"
extensions = ["openstackdocstheme", "os_api_ref"]
html_theme = "openstackdocs"
html_theme_options = {"sidebar_mode": "toc"}
openstackdocs_repo_name = "openstack/cyborg"
openstackdocs_auto_name = False
openstackdocs_pdf_link = False
openstackdocs_use_storyboard = False
root_doc = "index"
pygments_style = "native"
