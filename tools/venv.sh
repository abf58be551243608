# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The project's virtual environments; sourced by the other scripts here.
#
#     cyborg_venv NAME [EXTRA | FILE.txt]...
#
# leaves in $PYTHON an interpreter that has the project (editable, with those extras of setup.cfg) and those
# requirement files. The environment is .venv/NAME; it is installed into again only when one of the files that
# decide its content has changed, so the second call costs nothing. An interpreter named in $CYBORG_VENV_PYTHON
# (tox does so) is taken as it is.

CYBORG_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

cyborg_venv() {
    if [ -n "${CYBORG_VENV_PYTHON:-}" ]; then
        PYTHON="$CYBORG_VENV_PYTHON"
        return
    fi
    local place="$CYBORG_ROOT/.venv/$1" extras="" base digest argument
    local -a files=()
    shift
    for argument in "$@"; do
        case "$argument" in
            *.txt) files+=("$CYBORG_ROOT/$argument") ;;
            *) extras="${extras:+$extras,}$argument" ;;
        esac
    done
    base="$(_cyborg_base_python)" || return 1
    digest="$(_cyborg_digest "$base" "$extras" "${files[@]}")"
    PYTHON="$place/bin/python"
    if [ -x "$PYTHON" ] && [ "$(cat "$place/.installed" 2>/dev/null)" = "$digest" ]; then
        return
    fi
    _cyborg_make "$base" "$place" || return 1
    _cyborg_install "$extras" "${files[@]}" || return 1
    echo "$digest" >"$place/.installed"
}

# The first interpreter that is new enough: $CYBORG_PYTHON, or what the path offers.
_cyborg_base_python() {
    local name
    for name in ${CYBORG_PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "No Python 3.11 or newer was found. Install one, or name it: CYBORG_PYTHON=/path/to/python3 $0" >&2
    return 1
}

# Everything that decides what is installed, in one line of text.
_cyborg_digest() {
    local base="$1" extras="$2"
    shift 2
    {
        echo "$CYBORG_ROOT $extras"
        "$base" --version
        cat "$CYBORG_ROOT/setup.cfg" "$CYBORG_ROOT/requirements.txt" "$@"
    } | "$base" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

_cyborg_make() {
    local base="$1" place="$2"
    [ -x "$place/bin/pip" ] && "$place/bin/python" -c 'import pip' 2>/dev/null && return
    echo "Making the virtual environment $place ..." >&2
    mkdir -p "$(dirname "$place")"
    if "$base" -m venv --clear "$place" >"$place.log" 2>&1; then
        rm -f "$place.log"
        return
    fi
    cat "$place.log" >&2
    echo "$base cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv;" \
        "on Fedora and CentOS: dnf install python3. Then run this again." >&2
    rm -rf "$place" "$place.log"
    return 1
}

_cyborg_install() {
    local extras="$1" file
    local -a arguments=(--editable "$CYBORG_ROOT${extras:+[$extras]}")
    shift
    for file in "$@"; do
        arguments+=(--requirement "$file")
    done
    echo "Installing the project and what it needs; the first time takes a minute or two ..." >&2
    # pbr asks git for the version; a source tree without its history gets a version of its own.
    if ! git -C "$CYBORG_ROOT" rev-parse HEAD >/dev/null 2>&1; then
        export PBR_VERSION="${PBR_VERSION:-0.0.0}"
    fi
    SKIP_GENERATE_AUTHORS=1 SKIP_WRITE_GIT_CHANGELOG=1 \
        "$PYTHON" -m pip install --quiet --quiet --no-compile --disable-pip-version-check --no-input "${arguments[@]}" &&
        _cyborg_compile && return
    echo "The installation failed; the reason is above. Nothing else was changed." >&2
    return 1
}

# On all processors, which pip does on one; a file that is for another Python is left.
_cyborg_compile() {
    "$PYTHON" -m compileall -q -j 0 "$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" >/dev/null 2>&1 || true
}
