# SPDX-License-Identifier: Apache-2.0
"""Cyborg: accelerators that a user can ask for in a flavor."""

import warnings

from oslo_service import backend

# Native threads everywhere. The libraries choose a backend when they are first imported, so this comes before them.
# futurist imports eventlet merely because oslo.service installs it.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
backend.register_backend_default_hook(lambda: backend.BackendType.THREADING)
