#!/bin/bash
# Compares XMPP servers side by side in one run. See README.md.
#
#   compare.sh prepare TARGET...   accounts, rosters and a saved copy of both
#   compare.sh run TARGET...       REPS rounds over all targets, then a report
#   compare.sh big TARGET...       once: 10,000 idle sessions, a room of 1000
#   compare.sh s2s TARGET...       REPS rounds of messages between two servers
#   compare.sh archive TARGET...   an archive of ARCHIVE messages, read page by page
#   compare.sh joins TARGET...     joins of rooms of 200 and 1,000, REPS rounds
#   compare.sh kill TARGET...      kills under load, ROUNDS for each mode and judge
#   compare.sh report [FILE...]    medians of all results as tables
#
# A TARGET is prosody, ejabberd, limit (the bare relay; needs no prepare) or
# the path of a script with the commands of peers.sh: start MODE, stop, wipe,
# save, restore; s2s is a mode of start, kill needs the command kill.
set -u
cd "$(dirname "$0")" || exit 1
export BENCH_DIR=${BENCH_DIR:-/tmp/xmpp-bench}
REPS=${REPS:-3}
USERS=${USERS:-10000}
ROSTERS=${ROSTERS:-500} # people with a roster, for the scenario presence; 0: without it
MODES=${MODES:-nomam mam mamsql}
IDLE=${IDLE:-2000} # idle sessions in each round; 0: none
ROUNDS=${ROUNDS:-10}
ARCHIVE=${ARCHIVE:-50000} # messages in the archive that is read page by page
SEC=${SEC:-8} # length of one measurement of a steady load, in seconds
OUT=${OUT:-$BENCH_DIR/results/$(date -u +%Y%m%d-%H%M%S).jsonl}
X=$BENCH_DIR/xmppload
mkdir -p "$BENCH_DIR/results"
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"

say() { echo "$(date -u +%T) $*" >&2; }

t() { # target command [mode]
	case $1 in
	prosody|ejabberd) ./peers.sh "$2" "$1" ${3:+"$3"} ;;
	*) "$1" "$2" ${3:+"$3"} ;;
	esac
}

load() { # scenario limit-in-seconds flags...
	local scenario=$1 limit=$2
	shift 2
	timeout "$limit" "$X" "$scenario" -addr "$ADDR" -domain "$DOMAIN" -pid "$PID" -label "$LABEL" \
		-keycache "$BENCH_DIR/keys.json" "$@" >>"$OUT" || say "FAILED: $LABEL $scenario $*"
}

up() { # target mode
	local lines
	lines=$(t "$1" start "$2") || { t "$1" stop; return 1; }
	ADDR=$(sed -n 's/^ADDR=//p' <<<"$lines")
	DOMAIN=$(sed -n 's/^DOMAIN=//p' <<<"$lines")
	MUC=$(sed -n 's/^MUC=//p' <<<"$lines")
	PID=$(sed -n 's/^PID=//p' <<<"$lines")
	ADDR2=$(sed -n 's/^ADDR2=//p' <<<"$lines")
	DOMAIN2=$(sed -n 's/^DOMAIN2=//p' <<<"$lines")
	LABEL=$(basename "$1" .sh)
}

prepare() {
	local OUT=$BENCH_DIR/results/prepare.log
	say "prepare $1"
	t "$1" stop
	t "$1" wipe
	up "$1" nomam || return
	load register 600 -n "$USERS"
	[ "$ROSTERS" = 0 ] || load rostersetup 600 -n "$ROSTERS" -r 20
	load idle 600 -n "$USERS" -settle 1s -watch 1s # keeps the salted passwords
	t "$1" stop
	t "$1" save
}

steady() { # target mode
	say "$1 $2"
	t "$1" restore
	up "$1" "$2" || { say "$1 has no mode $2"; return; }
	if [ "$2" = nomam ]; then
		load login 120 -n 1500 -nusers 500 -conc 16 -variant conc=16
		[ "$ROSTERS" = 0 ] || load presence 120 -n "$ROSTERS" -r 20
		load chat 60 -pairs 50 -rate 3000 -warmup 2s -duration "${SEC}s" -variant "$2"
	fi
	load chat 60 -pairs 50 -rate 300 -warmup 2s -duration "${SEC}s" -variant "$2"
	load chat 60 -pairs 50 -window 10 -warmup 2s -duration "${SEC}s" -variant "$2"
	[ "$2" = nomam ] || load chat 60 -pairs 50 -window 20 -sm -acks 10 -warmup 2s -duration "${SEC}s" -variant "$2"
	load muc 120 -muc "$MUC" -m 200 -k 4 -warmup 1s -duration "${SEC}s" -variant "$2"
	t "$1" stop
}

idle() { # target n watch flags...
	local target=$1 n=$2 watch=$3
	shift 3
	say "$target idle $n $*"
	t "$target" restore
	up "$target" nomam || return
	load idle 400 -n "$n" -settle 5s -watch "$watch" "$@"
	t "$target" stop
}

s2s() { # target
	say "$1 s2s"
	up "$1" s2s || { say "$1 has no mode s2s"; return; }
	OUT=/dev/null load register 60 -n 40
	ADDR=$ADDR2 DOMAIN=$DOMAIN2 OUT=/dev/null load register 60 -n 40
	load chat 60 -pairs 20 -rate 300 -warmup 3s -duration "${SEC}s" -rxaddr "$ADDR2" -rxdomain "$DOMAIN2" -variant s2s
	load chat 60 -pairs 20 -window 10 -warmup 2s -duration "${SEC}s" -rxaddr "$ADDR2" -rxdomain "$DOMAIN2" -variant s2s
	t "$1" stop
}

killcheck() { # target mode judge
	say "$1 kill $2, judged by $3"
	t "$1" restore
	up "$1" "$2" || { say "$1 has no mode $2"; return; }
	# The commands of t, for the shell that xmppload runs them in.
	local k s
	case $1 in
	prosody|ejabberd) k="./peers.sh kill $1"; s="./peers.sh start $1 $2" ;;
	*) printf -v k '%q kill' "$1"; printf -v s '%q start %q' "$1" "$2" ;;
	esac
	load killcheck $((ROUNDS * 60)) -rounds "$ROUNDS" -judge "$3" -kill-cmd "$k" -start-cmd "$s" -variant "$2"
	t "$1" stop
}

archive() { # target messages
	say "$1 archive of $2"
	t "$1" restore
	up "$1" mam || return
	load archive 1800 -n "$2" -variant "$2 messages"
	t "$1" stop
}

joins() { # target
	say "$1 joins"
	t "$1" restore
	up "$1" nomam || return
	load muc 120 -muc "$MUC" -m 200 -k 4 -warmup 1s -duration 2s -variant "200 join"
	load muc 400 -muc "$MUC" -m 1000 -k 4 -warmup 1s -duration "${SEC}s" -variant "1,000 join"
	t "$1" stop
}

# disk notes what a durable write costs, for the head of the report.
disk() { "$X" fsync -dir "$BENCH_DIR" >>"$OUT" || say "FAILED: fsync"; }

limit() {
	local LABEL=limit
	say limit
	lim() { timeout 300 "$X" limit "$@" >>"$OUT" || say "FAILED: limit $*"; }
	if [ "$1" = big ]; then
		lim idle -n 10000 -settle 5s -watch 30s
		lim muc -m 1000 -k 4 -warmup 1s -duration "${SEC}s" -variant nomam
		return
	fi
	lim login -n 6000 -nusers 500 -warm 500 -conc 16 -variant conc=16
	lim chat -pairs 50 -rate 3000 -warmup 2s -duration "${SEC}s" -variant nomam
	lim chat -pairs 50 -rate 300 -warmup 2s -duration "${SEC}s" -variant nomam
	lim chat -pairs 50 -window 10 -warmup 2s -duration "${SEC}s" -variant nomam
	lim muc -m 200 -k 4 -warmup 1s -duration "${SEC}s" -variant nomam
	lim idle -n 2000 -settle 2s -watch 5s
}

cmd=${1:-}
shift
case $cmd in
prepare|run|big|s2s|archive|joins|kill)
	(cd xmppload && go build -o "$X" .) || exit 1 ;;
esac
case $cmd in
prepare)
	for target; do [ "$target" = limit ] || prepare "$target"; done ;;
run)
	for rep in $(seq "$REPS"); do
		say "round $rep of $REPS, load $(cut -d' ' -f1-3 /proc/loadavg)"
		disk
		for mode in $MODES; do
			for target; do [ "$target" = limit ] || steady "$target" "$mode"; done
		done
		for target; do [ "$target" = limit ] || [ "$IDLE" = 0 ] || idle "$target" "$IDLE" 20s; done
		for target; do [ "$target" != limit ] || limit small; done
	done
	"$X" report "$OUT" | tee "${OUT%.jsonl}.md"
	say "results in $OUT" ;;
big)
	disk
	for target; do
		if [ "$target" = limit ]; then limit big; continue; fi
		idle "$target" 10000 30s
		idle "$target" 2000 20s -sm -carbons -csi -roster -variant "SM, carbons, CSI, roster"
		say "$target muc 1000"
		t "$target" restore
		up "$target" nomam || continue
		load muc 400 -muc "$MUC" -m 1000 -k 4 -warmup 1s -duration "${SEC}s" -variant nomam
		t "$target" stop
	done
	"$X" report "$OUT" | tee "${OUT%.jsonl}.md"
	say "results in $OUT" ;;
s2s)
	"$X" dns -listen "${BENCH_NET:-127.0.91}.53:53" "a.bench.example=${BENCH_NET:-127.0.91}.2:5269" "b.bench.example=${BENCH_NET:-127.0.91}.3:5269" &
	dns=$!
	trap 'kill $dns' EXIT
	disk
	for _ in $(seq "$REPS"); do
		for target; do [ "$target" = limit ] || s2s "$target"; done
	done
	"$X" report "$OUT" | tee "${OUT%.jsonl}.md" ;;
archive|joins)
	disk
	for _ in $(seq "$REPS"); do
		for target; do
			[ "$target" = limit ] || case $cmd in archive) archive "$target" "$ARCHIVE" ;; joins) joins "$target" ;; esac
		done
	done
	"$X" report "$OUT" | tee "${OUT%.jsonl}.md"
	say "results in $OUT" ;;
kill)
	disk
	for mode in $MODES; do
		for judge in archive offline; do
			[ "$mode $judge" = 'nomam archive' ] && continue
			for target; do [ "$target" = limit ] || killcheck "$target" "$mode" $judge; done
		done
	done
	"$X" report "$OUT" | tee "${OUT%.jsonl}.md"
	say "results in $OUT" ;;
report)
	if [ $# -eq 0 ]; then set -- "$BENCH_DIR"/results/*.jsonl; fi
	"$X" report "$@" ;;
*) sed -n '2,15p' "$0"; exit 2 ;;
esac
