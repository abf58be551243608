#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Entry point of the DevStack plugin: what happens in which phase. The work is in lib/cyborg.

CYBORG_PLUGIN_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=devstack/lib/cyborg
source "$CYBORG_PLUGIN_DIR/lib/cyborg"

function cyborg_stack {
    case "$1" in
        install)
            echo_summary "Installing Cyborg"
            install_cyborg
            ;;
        post-config)
            echo_summary "Configuring Cyborg"
            configure_cyborg
            if is_service_enabled cyborg-api; then
                create_cyborg_accounts
            fi
            if is_service_enabled cyborg-conductor; then
                init_cyborg_database
            fi
            if is_service_enabled nova; then
                configure_nova_for_cyborg
            fi
            ;;
        extra)
            echo_summary "Starting Cyborg"
            start_cyborg
            ;;
    esac
}

if is_cyborg_enabled; then
    case "$1" in
        stack) cyborg_stack "$2" ;;
        unstack) stop_cyborg ;;
        clean) cleanup_cyborg ;;
    esac
fi
