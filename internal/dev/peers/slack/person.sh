#!/usr/bin/env bash
# person.sh TOKEN CHANNEL_ID: a person of a running instance, through @slack/web-api; see person.mjs. Runs in the foreground and prints CONTROL=URL.
# Variables: PEERS_DIR INSTANCE NODE
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../lib.sh
. "$here/../lib.sh"
peer_init slack
[ $# -eq 2 ] || die "usage: person.sh TOKEN CHANNEL_ID"
running || die "slack/$INSTANCE is not running"
NODE="$("$here/../node.sh")" || die "Node >= 20 is needed"
# Beside node_modules, where Node looks for the packages.
cp "$here/person.mjs" "$BASE/app/person.$INSTANCE.mjs"
exec "$NODE" "$BASE/app/person.$INSTANCE.mjs" "$(from_env_file URL)/api/" "$1" "$2"
