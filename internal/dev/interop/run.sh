#!/usr/bin/env bash
# What `make interop` runs, as root on Debian 12: installs real peers, proves each of them by itself, and
# runs Viaduct against them. Every step runs; a summary follows; the exit status is 1 if one failed.
#
# Variables: PEERS_DIR (~/.cache/viaduct-peers)
#   INTEROP_SKIP   peers to leave out, separated by spaces: dendrite synapse slack slixmpp prosody ejabberd aioxmpp converse python.
#                  For people only: what is left out is not proven, and the summary says so.
#   INTEROP_SEED   the seed of bridge_kill.py and fourway_kill.py; printed by every run
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
peers="$here/../peers"
bench="$here/../bench"
cd "$root"

export PEERS_DIR="${PEERS_DIR:-$HOME/.cache/viaduct-peers}"
export INTEROP_SKIP="${INTEROP_SKIP:-}"
INTEROP_SEED="${INTEROP_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
export INTEROP_RUN="$$" # a part of the homeservers' names
export VIADUCT_BIN_DIR="$root/bin"
python="$PEERS_DIR/clients/venv/bin/python"
# Prosody and ejabberd run as users of their own and must be able to reach their data.
scratch="$(mktemp -d)"
chmod 755 "$scratch"
export BENCH_DIR="$scratch/bench"

summary=()
status=0
declare -A broken

cleanup() {
  local server
  for server in prosody ejabberd; do "$bench/peers.sh" stop "$server" >/dev/null 2>&1 || true; done
  "$bench/viaduct.sh" stop >/dev/null 2>&1 || true
  local kind instance
  for kind in dendrite synapse; do
    for instance in check "bridge-$kind" "kill-$kind" "four-$kind" "fourkill-$kind"; do
      INSTANCE="interop-$INTEROP_RUN-$instance" "$peers/$kind/stop.sh" --wipe >/dev/null 2>&1 || true
    done
    for instance in "four-$kind" "fourkill-$kind"; do
      INSTANCE="interop-$INTEROP_RUN-$instance" "$peers/slack/stop.sh" --wipe >/dev/null 2>&1 || true
    done
  done
  rm -rf "$scratch"
}
trap cleanup EXIT

skipped() { case " $INTEROP_SKIP " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# step PEER WHAT COMMAND...: one line of the summary. A peer that failed once is not asked again.
step() {
  local peer="$1" what="$2" from=$SECONDS result=ok
  shift 2
  if skipped "$peer"; then
    result=skipped
  elif [ -n "${broken[$peer]:-}" ]; then
    result='not run'
  else
    printf '\n--- %s: %s\n' "$peer" "$what"
    local code=0
    "$@" || code=$?
    case "$code" in
      0) ;;
      3) result='port used' ;; # newcomer.sh: nothing was proven
      *)
        result=FAILED
        broken[$peer]=1
        ;;
    esac
  fi
  case "$result" in FAILED | 'not run' | 'port used') status=1 ;; esac
  summary+=("$(printf '%-10s %-56s %-9s %4d s' "$peer" "$what" "$result" $((SECONDS - from)))")
}

free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

homeserver() { # homeserver KIND: an instance of its own, thrown away afterwards
  local good=0
  INSTANCE="interop-$INTEROP_RUN-check" HTTP_PORT="$(free_port)" HTTPS_PORT="$(free_port)" "$peers/check.sh" "$1" || good=1
  INSTANCE="interop-$INTEROP_RUN-check" "$peers/$1/stop.sh" --wipe || good=1
  return "$good"
}

# Start the server, talk through it with a foreign client, stop it.
xmpp_server() { # xmpp_server prosody|ejabberd|viaduct
  local lines addr domain muc good=0
  case "$1" in
    viaduct) lines="$("$bench/viaduct.sh" start nomam)" || return 1 ;;
    *) lines="$("$bench/peers.sh" start "$1" nomam)" || return 1 ;;
  esac
  addr="$(sed -n 's/^ADDR=//p' <<<"$lines")"
  domain="$(sed -n 's/^DOMAIN=//p' <<<"$lines")"
  muc="$(sed -n 's/^MUC=//p' <<<"$lines")"
  if skipped slixmpp; then
    echo "$1 runs; no client was left to talk through it"
  else
    "$peers/clients/check.sh" "$addr" "$domain" "$muc" "$BENCH_DIR/cert/cert.pem" || good=1
    [ "$1" != viaduct ] || "$peers/clients/debian.sh" "$addr" "$domain" || good=1
  fi
  case "$1" in
    viaduct) "$bench/viaduct.sh" stop || good=1 ;;
    *) "$bench/peers.sh" stop "$1" || good=1 ;;
  esac
  return "$good"
}

# The bridge between slixmpp and a homeserver, in a bounded time: a run takes one to two minutes. Ports and instances are its own.
bridge() { # bridge check|kill|fourway|fourway_kill KIND [ARGUMENT...]
  if skipped slixmpp; then
    echo 'no XMPP client was left to use the bridge'
    return 0
  fi
  local program
  case "$1" in
    fourway) program=fourway_check.py ;;
    fourway_kill) program=fourway_kill.py ;;
    *) program="bridge_$1.py" ;;
  esac
  timeout --foreground -k 30 300 "$python" "$here/$program" "${@:2}"
}

# A client uses what the server has for clients of today, in a bounded time.
features() { # features PYTHON PROGRAM
  timeout --foreground -k 30 300 "$1" "$here/$2"
}

# A bridge in Python, started as the server starts it, against the suite that every bridge passes.
python_plugin() {
  VIADUCT_INTEROP_PYTHON=1 timeout --foreground -k 30 300 go test -count=1 ./plugins/examples/python
}

newcomer() {
  if skipped slixmpp; then
    echo 'no XMPP client was left to be the newcomer'
    return 0
  fi
  "$here/newcomer.sh"
}

step debian 'packages' "$here/../apt.sh" curl openssl util-linux python3 python3-venv strace \
  prosody lua-dbi-sqlite3 lua-unbound ejabberd erlang-p1-sqlite3 python3-aioxmpp python3-aiohttp python3-slixmpp profanity python3-grpcio python3-protobuf
step dendrite 'install' "$peers/dendrite/setup.sh"
step synapse 'install' "$peers/synapse/setup.sh"
step slack 'install' "$peers/slack/setup.sh"
step slixmpp 'install' "$peers/clients/setup.sh"
step converse 'install' "$peers/converse/setup.sh"
step dendrite 'is a homeserver' homeserver dendrite
step synapse 'is a homeserver' homeserver synapse
step debian 'certificate and configuration' "$bench/peers.sh" setup
step prosody 'slixmpp talks through it' xmpp_server prosody
step ejabberd 'slixmpp talks through it' xmpp_server ejabberd
step viaduct 'slixmpp talks through it' xmpp_server viaduct
step viaduct 'a newcomer tries a clean clone' newcomer
step slixmpp 'uses rooms, archives, nodes and files' features "$python" features_check.py
step slixmpp 'uses settings, hats, lists and commands' features "$python" extras_check.py
step aioxmpp 'uses rooms, nodes, faces and files' features /usr/bin/python3 aioxmpp_check.py
step converse 'in a browser: history, words and a picture' features "$python" converse_check.py
step python 'a plugin in Python passes the suite' python_plugin
for kind in dendrite synapse; do
  step "$kind" 'people of both sides share a room' bridge check "$kind"
done
for kind in dendrite synapse; do
  step slack "one room with $kind, Slack and Discord" bridge fourway "$kind"
done
for kind in dendrite synapse; do
  step "$kind" "nothing lost or doubled under SIGKILL (seed $INTEROP_SEED)" bridge kill "$kind" --seed "$INTEROP_SEED"
done
step slack "four platforms under SIGKILL (seed $INTEROP_SEED)" bridge fourway_kill dendrite --seed "$INTEROP_SEED"

printf '\n=== interop\n'
printf '%s\n' "${summary[@]}"
exit "$status"
