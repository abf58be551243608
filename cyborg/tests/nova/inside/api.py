# SPDX-License-Identifier: Apache-2.0
"""nova-api, which comes without a server of its own: its WSGI application on a loopback port.

OS_NOVA_CONFIG_FILES="/DIRECTORY/api-paste.ini;/DIRECTORY/nova.conf" python api.py PORT
"""

import sys

from cheroot import wsgi


def main(port: int) -> None:
    from nova.wsgi import osapi_compute

    wsgi.Server(("127.0.0.1", port), osapi_compute.application, numthreads=10).start()


if __name__ == "__main__":
    # Nova reads the command line, and would not know this.
    main(int(sys.argv.pop()))
