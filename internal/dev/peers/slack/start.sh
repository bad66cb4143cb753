#!/usr/bin/env bash
# Starts the Slack emulator on 127.0.0.1 in the background and prints environment lines (see ../README.md).
# State is in memory: a restart begins with seed.yaml again.
# Variables: PEERS_DIR INSTANCE HTTP_PORT ENV_PREFIX START_TIMEOUT SEED EVENTS_URL NODE
#            SLACK_BOT_TOKEN SLACK_APP_TOKEN SLACK_SIGNING_SECRET SLACK_TOKEN_ALICE SLACK_TOKEN_BOB (see seed.yaml)
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../lib.sh
. "$here/../lib.sh"
peer_init slack
[ $# -eq 0 ] || die "no arguments; everything is set by environment variables"
need curl curl
[ -f "$BASE/version" ] || die "run setup.sh first"
already_running
NODE="$("$here/../node.sh")" || die "Node >= 20 is needed"
HTTP_PORT="${HTTP_PORT:-14103}"
URL="http://127.0.0.1:$HTTP_PORT"
# shellcheck disable=SC2034 # read by report_up
LOG="$RUN/server.log"
require_free "$HTTP_PORT"

mkdir -p "$RUN"
cp "${SEED:-$here/seed.yaml}" "$RUN/seed.yaml"
# The launcher stands beside node_modules, where Node looks for the packages.
cp "$here/launcher.mjs" "$BASE/app/launcher.$INSTANCE.mjs"
launch "$NODE" "$BASE/app/launcher.$INSTANCE.mjs" "$HTTP_PORT" "$RUN/seed.yaml"
wait_up "$URL/_peer/env"
http -f "$URL/_peer/env" | while IFS='=' read -r name value; do line "$name" "$value"; done >"$RUN/report"
report_up <"$RUN/report"
rm -f "$RUN/report"
