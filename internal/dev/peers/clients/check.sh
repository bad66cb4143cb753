#!/usr/bin/env bash
# check.sh ADDR DOMAIN MUC [CA-FILE]: two slixmpp clients register at a running server, log in over STARTTLS,
# write to each other and talk in a room of the service MUC. ADDR is HOST:PORT. Without a CA file any
# certificate is taken. Variables: PEERS_DIR
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../lib.sh
. "$here/../lib.sh"
peer_init clients
(($# == 3 || $# == 4)) || die "usage: check.sh HOST:PORT DOMAIN MUC [CA-FILE]"
[ -z "${4:-}" ] || [ -r "$4" ] || die "cannot read the CA file $4"
[ -x "$BASE/venv/bin/python" ] || die "run setup.sh first"
exec "${CLEAN[@]}" "$BASE/venv/bin/python" "$here/check.py" "$@"
