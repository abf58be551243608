# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Makes sure that MariaDB, PostgreSQL and RabbitMQ run on this machine, and umockdev is there; sourced, needs root and
# $PYTHON.
#
# `servers_up` uses what answers already, starts what is installed, installs what is missing (Debian's packages)
# and exports the CYBORG_TEST_* URLs, each proved by a real connection. Machines without systemd are normal here.

servers_up() {
    # What a server of a development machine usually lets in; a fresh one gets a user of its own below.
    export CYBORG_TEST_MYSQL="${CYBORG_TEST_MYSQL:-mysql+pymysql://root@127.0.0.1:3306/}"
    export CYBORG_TEST_POSTGRESQL="${CYBORG_TEST_POSTGRESQL:-postgresql+psycopg://postgres@127.0.0.1:5432/}"
    export CYBORG_TEST_RABBITMQ="${CYBORG_TEST_RABBITMQ:-rabbit://guest:guest@127.0.0.1:5672/}"
    _server MariaDB CYBORG_TEST_MYSQL _mariadb && _server PostgreSQL CYBORG_TEST_POSTGRESQL _postgresql &&
        _server RabbitMQ CYBORG_TEST_RABBITMQ _rabbitmq && _umockdev
}

# Machines that do not exist, for the agent as a black box.
_umockdev() {
    command -v umockdev-run >/dev/null || _install umockdev
    umockdev-run --version
}

# _server NAME VARIABLE START: start the server unless its URL answers; START may set another URL.
_server() {
    local name="$1" variable="$2" start="$3"
    if ! _answers "${!variable}"; then
        echo "$name does not answer yet; starting it ..."
        "$start" "$variable"
    fi
    _answers "${!variable}" && echo "$name answers." && return
    echo "$name could not be made to answer; its own log says why. The tests that need it cannot run." >&2
    return 1
}

# A real connection with the driver that the service uses.
_answers() {
    "$PYTHON" - "$1" 2>/dev/null <<'PYTHON'
import sys

url = sys.argv[1]
if url.startswith("rabbit:"):
    import kombu

    with kombu.Connection(url.replace("rabbit:", "amqp:", 1), connect_timeout=5) as connection:
        connection.connect()
else:
    import sqlalchemy

    if url.startswith("postgresql"):
        url += "postgres"
    sqlalchemy.create_engine(url).connect().close()
PYTHON
}

# _wait SECONDS COMMAND...: until the command succeeds.
_wait() {
    local deadline
    deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 1
    done
}

_install() {
    export DEBIAN_FRONTEND=noninteractive
    echo "Installing $* ..."
    apt-get -q update >/dev/null && apt-get -q -y install --no-install-recommends "$@" >/dev/null
}

_new_password() {
    "$PYTHON" -c 'import secrets; print(secrets.token_hex(16))'
}

_mariadb() {
    [ -x /usr/sbin/mariadbd ] || _install mariadb-server || return 1
    install -d -o mysql -g mysql /run/mysqld
    start-stop-daemon --start --oknodo --background --exec /usr/sbin/mariadbd
    _wait 60 mariadb -e 'SELECT 1' || return 1
    _answers "${!1}" && return
    # A newly installed server knows root by the socket only.
    local password host
    password="$(_new_password)"
    for host in localhost 127.0.0.1; do
        mariadb -e "CREATE OR REPLACE USER cyborg_test@'$host' IDENTIFIED BY '$password';
            GRANT ALL PRIVILEGES ON *.* TO cyborg_test@'$host' WITH GRANT OPTION;" || return 1
    done
    export CYBORG_TEST_MYSQL="mysql+pymysql://cyborg_test:$password@127.0.0.1:3306/"
}

_postgresql() {
    local version password
    command -v pg_ctlcluster >/dev/null || _install postgresql || return 1
    version="$(pg_lsclusters --no-header | awk '$2 == "main" {print $1; exit}')"
    pg_ctlcluster --skip-systemctl-redirect "$version" main start || true
    _wait 60 _psql 'SELECT 1' || return 1
    _answers "${!1}" && return
    # A newly installed server wants a password over TCP.
    password="$(_new_password)"
    _psql "SELECT FROM pg_roles WHERE rolname = 'cyborg_test'" | grep -q '(1 row)' ||
        _psql 'CREATE ROLE cyborg_test' || return 1
    _psql "ALTER ROLE cyborg_test LOGIN CREATEDB PASSWORD '$password'" || return 1
    export CYBORG_TEST_POSTGRESQL="postgresql+psycopg://cyborg_test:$password@127.0.0.1:5432/"
}

_psql() {
    (cd / && runuser -u postgres -- psql -c "$1")
}

_rabbitmq() {
    command -v rabbitmq-server >/dev/null || _install rabbitmq-server || return 1
    _wait 5 _answers "${!1}" && return
    rabbitmq-server -detached
    _wait 90 _answers "${!1}"
}
