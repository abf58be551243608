#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every checker that the gate runs, or those named: tools/check.sh [lint format types imports shell docs notes samples]
#
# All of them run even if one fails; the exit status says whether all passed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tools/venv.sh
. tools/venv.sh
cyborg_venv test standalone mysql postgresql nvidia test-requirements.txt || exit 1
BIN="$(dirname "$PYTHON")"
BUILD="$(mktemp -d)"
trap 'rm -rf "$BUILD"' EXIT

lint() {
    "$BIN/ruff" check .
}

format() {
    "$BIN/ruff" format --check .
}

types() {
    "$BIN/mypy"
}

imports() {
    "$BIN/lint-imports" --no-cache
}

# Shell scripts: style by bashate, mistakes by shellcheck. E006 is its line length, which is ours to set.
shell() {
    local -a scripts
    mapfile -t scripts < <(git ls-files -co --exclude-standard -- '*.sh' .ci/run devstack/settings devstack/lib)
    "$BIN/bashate" --ignore E006 "${scripts[@]}" && "$BIN/shellcheck" --external-sources "${scripts[@]}"
}

docs() {
    "$BIN/sphinx-build" -W --keep-going -q -b html doc/source "${DOC_BUILD:-$BUILD/doc}"
    [ ! -f api-ref/source/conf.py ] || "$BIN/sphinx-build" -W --keep-going -q -b html api-ref/source "$BUILD/api-ref"
}

notes() {
    "$BIN/reno" --quiet lint . && "$BIN/sphinx-build" -W --keep-going -q -b html releasenotes/source "$BUILD/notes"
}

# The sample files that operators start from can be generated.
samples() {
    local -x PYTHONWARNINGS=ignore # libraries warn of each other there
    "$BIN/oslo-config-generator" --config-file etc/cyborg/cyborg-config-generator.conf \
        --output-file "$BUILD/cyborg.conf" &&
        "$BIN/oslopolicy-sample-generator" --config-file etc/cyborg/cyborg-policy-generator.conf \
            --output-file "$BUILD/policy.yaml"
}

failed=()
for check in "${@:-lint format types imports shell docs notes samples}"; do
    for one in $check; do
        started=$SECONDS
        echo "== $one"
        "$one" || failed+=("$one")
        echo "-- $one: $((SECONDS - started)) s"
    done
done
if [ "${#failed[@]}" -gt 0 ]; then
    echo "Failed: ${failed[*]}"
    exit 1
fi
echo "All checks passed."
