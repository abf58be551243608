#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unit and functional tests with SQLite and a real Placement; needs only Python 3.11 and git.
#
#     tools/test.sh                    everything
#     tools/test.sh arqs               one story: the tests whose names have the word
#     tools/test.sh -x cyborg/tests    further arguments go to pytest
#
# Tests that need a server run where its URL is given; what was left out, and why, is said at the end.
#
#     CYBORG_TEST_MYSQL=mysql+pymysql://root@127.0.0.1:3306/
#     CYBORG_TEST_POSTGRESQL=postgresql+psycopg://postgres@127.0.0.1:5432/
#     CYBORG_TEST_RABBITMQ=rabbit://guest:guest@127.0.0.1:5672/
#     CYBORG_TEST_REQUIRE_SERVERS=1    a server that is missing is a failure
#
# More is run where it is asked for:
#
#     CYBORG_TEST_OLD_CLIENT=/venv/bin/python    a Python with python-cyborgclient: its commands against the service
#     CYBORG_TEST_EXAMPLES=100                   so many random calls to each route and damaged hosts for each driver
#     CYBORG_TEST_ROWS=100000                    so many devices in the lists whose query plans are looked at
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/venv.sh
. tools/venv.sh
cyborg_venv test standalone mysql postgresql nvidia test-requirements.txt

# Hundreds of processes are started here; what they import is compiled once.
unset PYTHONDONTWRITEBYTECODE

# Files in memory, where there is room: tests write very many, and keep those of tests that failed.
room="$(df -Pk /dev/shm 2>/dev/null | awk 'END {print $4}')" || room=0
if [ -w /dev/shm ] && [ "${room:-0}" -gt 4000000 ] && ! grep -q ' /dev/shm .*noexec' /proc/mounts; then
    export TMPDIR="${TMPDIR:-/dev/shm}"
fi

if [ "$#" -eq 1 ] && [[ "$1" =~ ^[A-Za-z_]+$ ]] && [ ! -e "$1" ]; then
    set -- -k "$1"
fi
# Files in their order: the functional ones take longest and come first.
PYTHONPATH="tools${PYTHONPATH:+:$PYTHONPATH}" exec "$PYTHON" -m pytest -n "${CYBORG_TEST_WORKERS:-auto}" --dist loadfile --no-loadscope-reorder -p left_out "$@"
