#!/usr/bin/env bash
# Installs Converse.js, a client in the browser, and what drives a browser, into $PEERS_DIR/converse, at exact versions from npm; the browser is
# Debian's chromium. Nothing to do when they are there. Variables: PEERS_DIR NODE
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../lib.sh
. "$here/../lib.sh"
peer_init converse
[ $# -eq 0 ] || die "no arguments; everything is set by environment variables"

command -v chromium >/dev/null || "$here/../../apt.sh" chromium
command -v npm >/dev/null || "$here/../../apt.sh" npm
need flock util-linux
lock_setup
if cmp -s "$here/package.json" "$BASE/package.json" && [ -s "$BASE/node_modules/converse.js/dist/converse.min.js" ]; then
  log "converse: already installed in $BASE"
  exit 0
fi
rm -rf "$BASE/node_modules" "$BASE/package.json"
cp "$here/package.json" "$BASE/"
(cd "$BASE" && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error) >"$BASE/npm.log" 2>&1 ||
  { tail -n 20 "$BASE/npm.log" >&2; rm -f "$BASE/package.json"; die "npm install failed, see $BASE/npm.log"; }
[ -s "$BASE/node_modules/converse.js/dist/converse.min.js" ] || die "the package has no dist/converse.min.js"
log "converse: installed in $BASE"
