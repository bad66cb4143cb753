#!/bin/bash
# Viaduct as a target of compare.sh: the commands of peers.sh but for install and setup.
#
#   viaduct.sh start nomam|mam   start it; prints PID= ADDR= TLSADDR= DOMAIN= MUC= when it answers
#   viaduct.sh stop              stop it cleanly
#   viaduct.sh kill              stop it with SIGKILL, so that start works again
#   viaduct.sh wipe              remove its data (stopped)
#   viaduct.sh save|restore      keep a copy of the data, go back to it (stopped)
#   viaduct.sh env               where it listens
#
# mam archives messages of people and rooms, synced to disk before delivery; nomam does not archive.
# Variables: BENCH_DIR, VIADUCT_BIN (default bin/viaduct of this tree, see `make build`), VIADUCT_NET (an address), BENCH_NET (127.0.91: its first three numbers)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
B=${BENCH_DIR:-/tmp/xmpp-bench}
V=$B/viaduct
BIN=${VIADUCT_BIN:-$here/../../../bin/viaduct}
DOMAIN=bench.test
HOST=${VIADUCT_NET:-${BENCH_NET:-127.0.91}.1}
C2S=35222 C2S_TLS=35223 ADMIN=35281
PIDFILE=$B/run/viaduct.pid # "PID STARTTIME", so that a number used again is never taken for ours

die() { echo "viaduct.sh: $*" >&2; exit 1; }

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
state() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f1; }

running() {
	local pid since
	[ -s "$PIDFILE" ] || return 1
	read -r pid since <"$PIDFILE"
	[ -n "$since" ] && [ "$(start_time "$pid")" = "$since" ] && [ "$(state "$pid")" != Z ]
}

stopped() { ! running || die 'stop it first'; }

# The same certificate as the peers, where peers.sh made one: the handshake must cost the same.
config() { # mode
	local archive tls=
	case $1 in
	mam) archive=true ;;
	nomam) archive=false ;;
	*) die "no mode $1" ;;
	esac
	if [ -e "$B/cert/key.pem" ]; then tls="tls: {cert: $B/cert/cert.pem, key: $B/cert/key.pem}"; fi
	cat <<-E
	domains: [$DOMAIN]
	data_dir: $V/data
	$tls
	listen:
	  c2s: ["$HOST:$C2S"]
	  c2s_tls: ["$HOST:$C2S_TLS"]
	  s2s: []
	  s2s_tls: []
	  http: []
	  https: []
	  admin: ["$HOST:$ADMIN"]
	  component: []
	registration: {open: true}
	archive: {people: $archive, rooms: $archive}
	log: {level: warn}
	limits: {off: true}
	bridges: []
	E
}

# answers asks for a stream as a client does.
answers() {
	local reply
	reply=$( (
		exec 3<>"/dev/tcp/$HOST/$C2S"
		printf "<?xml version='1.0'?><stream:stream to='%s' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>" "$DOMAIN" >&3
		IFS= read -r -t 1 -N 4000 r <&3
		printf %s "$r"
	) 2>/dev/null) || true
	case $reply in *stream:features*) return 0 ;; esac
	return 1
}

where() {
	printf '%s\n' "ADDR=$HOST:$C2S" "TLSADDR=$HOST:$C2S_TLS" "DOMAIN=$DOMAIN" "MUC=rooms.$DOMAIN"
	if running; then echo "PID=$(cut -d' ' -f1 "$PIDFILE")"; fi
}

start() { # mode
	stopped
	[ -x "$BIN" ] || die "no server at $BIN; run: make build"
	mkdir -p "$V/data" "$B/run"
	chmod 700 "$V"
	config "$1" >"$V/viaduct.yaml"
	ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
	"$BIN" serve --config "$V/viaduct.yaml" >"$V/out.log" 2>&1 </dev/null &
	local pid=$!
	echo "$pid $(start_time $pid)" >"$PIDFILE"
	for _ in $(seq 600); do
		running || { tail -n 20 "$V/out.log" >&2; rm -f "$PIDFILE"; die "it ended while starting, see $V/out.log"; }
		if answers; then
			where
			return
		fi
		sleep 0.05
	done
	halt KILL
	die "no answer on $HOST:$C2S, see $V/out.log"
}

halt() { # signal
	local pid
	if running; then
		pid=$(cut -d' ' -f1 "$PIDFILE")
		kill "-$1" "$pid" 2>/dev/null || true
		for _ in $(seq 300); do
			running || break
			sleep 0.1
		done
		if running; then
			kill -KILL "$pid" 2>/dev/null || true
			echo "viaduct.sh: pid $pid did not end within 30 s, killed" >&2
		fi
	fi
	rm -f "$PIDFILE"
}

case ${1:-} in
start) start "${2:-mam}" ;;
stop) halt TERM ;;
kill) halt KILL ;;
wipe) stopped; rm -rf "$V/data" ;;
save) stopped; rm -rf "$V/saved"; cp -a "$V/data" "$V/saved" ;;
restore) stopped; rm -rf "$V/data"; cp -a "$V/saved" "$V/data" ;;
env) where ;;
*) sed -n '2,13p' "$0"; exit 2 ;;
esac
