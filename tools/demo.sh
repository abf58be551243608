#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job, end to end, on a machine with nothing but Python 3.11 and git: three recorded hosts, a real
# Placement, and the right card for a request.
#
#     tools/demo.sh           show it and clean up
#     tools/demo.sh --keep    show it, leave the service running, and say how to use it by hand
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/venv.sh
. tools/venv.sh

keep=""
case "${1:-}" in
    "") ;;
    --keep) keep=yes ;;
    *)
        echo "Usage: $0 [--keep]" >&2
        exit 2
        ;;
esac

cyborg_venv demo standalone demo
bin="$(dirname "$PYTHON")"
hosts="$("$PYTHON" -c 'import pathlib, cyborg; print(pathlib.Path(cyborg.__file__).parent / "demo_hosts")')"
state="$(mktemp -d "${TMPDIR:-/tmp}/cyborg-demo.XXXXXX")"
log="$state/service.log"
service=""

clean_up() {
    local status=$?
    if [ -n "$service" ]; then
        kill "$service" 2>/dev/null || true
        wait "$service" 2>/dev/null || true
    fi
    rm -rf "$state"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "Starting the service over three recorded hosts ..."
"$bin/cyborg-standalone" --state-dir "$state" --port 0 --interval 5 \
    --drivers nvidia_gpu_driver,intel_fpga_driver \
    --simulated-host "gpu-host=$hosts/gpu-host/host.yaml" \
    --simulated-host "fpga-host=$hosts/fpga-host/host.yaml" \
    --simulated-host "mixed-host=$hosts/mixed-host/host.yaml" >"$log" 2>&1 &
service=$!

for _ in $(seq 300); do
    grep -q '^Ready:' "$log" && break
    if ! kill -0 "$service" 2>/dev/null; then
        echo "The service did not start. It said:" >&2
        cat "$log" >&2
        service=""
        exit 1
    fi
    sleep 0.1
done
if ! grep '^Ready:' "$log"; then
    echo "The service was not ready after 30 seconds. It said:" >&2
    cat "$log" >&2
    exit 1
fi
url="$(sed -n 's/^Ready: accelerator API \(.*\)\/v2, Placement.*/\1/p' "$log")"

if ! "$PYTHON" tools/demo.py "$url"; then
    echo "The last lines of the service's log:" >&2
    tail -n 20 "$log" >&2
    exit 1
fi

if [ -n "$keep" ]; then
    cat <<TEXT

The service is still running (stop it with Ctrl-C). In another terminal:

    curl -s -H 'X-Auth-Token: admin' $url/v2/devices | python3 -m json.tool
    curl -s -H 'X-Auth-Token: admin' $url/v2/deployables | python3 -m json.tool
    curl -s -H 'X-Auth-Token: admin' -H 'OpenStack-API-Version: placement 1.39' $url/placement/resource_providers

    export OS_AUTH_TYPE=admin_token OS_ENDPOINT=$url OS_TOKEN=admin OS_ACCELERATOR_ENDPOINT_OVERRIDE=$url/v2
    $bin/openstack accelerator device list
    $bin/openstack accelerator device profile list
    $bin/openstack accelerator arq list
TEXT
    wait "$service"
fi
