#!/usr/bin/env bash
# Installs XMPP and Matrix clients of other authors into $PEERS_DIR/clients/venv, at exact versions from PyPI; nothing
# to do when they are there. The interpreter to run them with is $PEERS_DIR/clients/venv/bin/python.
# Variables: PEERS_DIR PYTHON (default /usr/bin/python3, with venv)
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../lib.sh
. "$here/../lib.sh"
peer_init clients
[ $# -eq 0 ] || die "no arguments; everything is set by environment variables"

PYTHON="${PYTHON:-$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || echo python3)}"
venv="$BASE/venv"
need flock util-linux
lock_setup
if cmp -s "$here/requirements.txt" "$BASE/version" && "$venv/bin/python" -c 'import nio, slixmpp' 2>/dev/null; then
  log "clients: already installed in $venv"
  exit 0
fi
rm -rf "$venv" "$BASE/version"
"$PYTHON" -m venv "$venv" >"$BASE/venv.log" 2>&1 ||
  die "$PYTHON cannot make a virtual environment (Debian package: python3-venv), see $BASE/venv.log"
"$venv/bin/pip" --disable-pip-version-check --timeout 30 --retries 3 install -r "$here/requirements.txt" >"$BASE/pip.log" 2>&1 ||
  { tail -n 20 "$BASE/pip.log" >&2; die "pip install failed, see $BASE/pip.log"; }
"$venv/bin/python" -c 'import nio, slixmpp' || die "the clients are installed but cannot be imported"
cp "$here/requirements.txt" "$BASE/version"
log "clients: installed in $venv"
