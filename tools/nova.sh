#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The service under the real Nova, in both layouts at the same time; see doc/source/contributor/nova.rst.
#
#     tools/nova.sh                    everything
#     tools/nova.sh -k shelved         further arguments go to pytest
#     CYBORG_TEST_NOVA_LAYOUTS=nested tools/nova.sh
#
# Takes MariaDB (or MySQL) and RabbitMQ, named as for tools/test.sh, and rabbitmqctl with the right to use it. Nova gets
# a virtual environment of its own, .venv/nova; one that is there already can be named in CYBORG_TEST_NOVA.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/venv.sh
. tools/venv.sh
cyborg_venv test standalone mysql postgresql nvidia test-requirements.txt

if [ -z "${CYBORG_TEST_NOVA:-}" ]; then
    export CYBORG_TEST_NOVA="$CYBORG_ROOT/.venv/nova"
    requirements=cyborg/tests/nova/requirements.txt
    if ! cmp -s "$requirements" "$CYBORG_TEST_NOVA/.installed"; then
        _cyborg_make "$(_cyborg_base_python)" "$CYBORG_TEST_NOVA"
        echo "Installing Nova; this takes a minute or two ..." >&2
        "$CYBORG_TEST_NOVA/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-input \
            --requirement "$requirements"
        cp "$requirements" "$CYBORG_TEST_NOVA/.installed"
    fi
fi
"$CYBORG_TEST_NOVA/bin/python" -c 'import importlib.metadata as it; print("nova", it.version("nova"))'

# What they say is shown when they have ended, one after the other.
said="$(mktemp -d)"
trap 'rm -rf "$said"' EXIT
running=()
IFS=, read -r -a layouts <<<"${CYBORG_TEST_NOVA_LAYOUTS:-compute_node,nested}"
for layout in "${layouts[@]}"; do
    CYBORG_TEST_NOVA_LAYOUTS="$layout" CYBORG_TEST_REQUIRE_SERVERS=1 \
        "$PYTHON" -m pytest -v -p no:xdist -o cache_dir="$said/cache-$layout" cyborg/tests/nova "$@" \
        >"$said/$layout" 2>&1 &
    running+=($!)
done
failed=0
for number in "${!layouts[@]}"; do
    wait "${running[number]}" || failed=1
    echo "=== ${layouts[number]}"
    cat "$said/${layouts[number]}"
done
exit "$failed"
