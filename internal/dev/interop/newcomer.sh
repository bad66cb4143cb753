#!/usr/bin/env bash
# newcomer.sh: what the README promises to somebody who clones the repository. Clones the committed tree into a folder of its own, builds it
# with `make build`, runs `viaduct serve` on the embedded defaults (its ports), and lets a client of
# another author log in with the printed password and join the demo network's room: people talk within a minute, answer, and do as told.
# Exit status 3: not run, because a port is in use. Variables: PEERS_DIR
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../peers/lib.sh
. "$here/../peers/lib.sh"
peer_init clients
root="$(cd "$here/../../.." && pwd)"
python="$BASE/venv/bin/python"
[ -x "$python" ] || die "run $here/../peers/clients/setup.sh first"

# Where that is possible, in a network of its own, which has nothing but loopback: then all ports are free.
alone=()
if command -v ip >/dev/null && unshare --net true 2>/dev/null; then
  # shellcheck disable=SC2016
  alone=(unshare --net sh -euc 'ip link set lo up; exec "$@"' sh)
fi
for port in 5222 5223 5281; do
  if ((${#alone[@]} == 0)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    log "port $port is in use; the defaults cannot be tried here"
    exit 3
  fi
done
clone="$(mktemp -d)"
trap 'rm -rf "$clone"' EXIT
git -c "safe.directory=$root" -c "safe.directory=$root/.git" clone -q "$root" "$clone/viaduct"
make -C "$clone/viaduct" build
if ! "${CLEAN[@]}" "${alone[@]}" "$python" "$here/newcomer.py" "$clone/viaduct"; then
  tail -n 40 "$clone/viaduct/server.log" >&2 || true
  exit 1
fi
