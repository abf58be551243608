# SPDX-License-Identifier: Apache-2.0
"""``python -m bench``: a short run of both benchmarks; with arguments, the lifecycle benchmark with these."""

import sys

from bench import lifecycle, reports

if __name__ == "__main__":
    status = lifecycle.main(sys.argv[1:])
    if len(sys.argv) == 1:
        print()
        status = status or reports.main([])
    sys.exit(status)
