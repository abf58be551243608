# SPDX-License-Identifier: Apache-2.0
"""The REST API for uWSGI, mod_wsgi, gunicorn and others: ``cyborg.wsgi.api:application``.

The command line of the process is the server's, not ours; see `cyborg.api.wiring.from_environment` for where the
configuration comes from.
"""

from cyborg.api import app

application = app.load_from_environment()
