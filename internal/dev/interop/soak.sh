#!/usr/bin/env bash
# The long version of the four-way room, a part of `make soak`: 300 messages from each side with the platforms' real rates, while everything is hit three
# times. Installs the peers that it needs, as `make interop` does.
#
# Variables: PEERS_DIR (~/.cache/viaduct-peers), INTEROP_SEED (the seed; printed by every run)
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
export PEERS_DIR="${PEERS_DIR:-$HOME/.cache/viaduct-peers}"
export VIADUCT_BIN_DIR="$root/bin"
cd "$root"
for peer in dendrite slack clients; do "$here/../peers/$peer/setup.sh"; done
exec "$PEERS_DIR/clients/venv/bin/python" "$here/fourway_kill.py" dendrite --messages 300 --kills 3 --rates real ${INTEROP_SEED:+--seed "$INTEROP_SEED"}
