#!/bin/bash
# Sets up, starts and stops the servers to compare with: Prosody and ejabberd
# from Debian, on loopback only. See README.md.
#
#   peers.sh install                        packages, without starting them
#   peers.sh setup                          certificate and configuration
#   peers.sh start prosody|ejabberd [mam|mamsql|nomam|s2s]
#   peers.sh stop prosody|ejabberd
#   peers.sh kill prosody|ejabberd          stop it with SIGKILL
#   peers.sh wipe prosody|ejabberd          remove its data
#   peers.sh save prosody|ejabberd          keep a copy of the data (stopped)
#   peers.sh restore prosody|ejabberd       go back to that copy (stopped)
#   peers.sh env prosody|ejabberd           where it listens
#
# mam archives messages in the server's own files, mamsql in SQLite, nomam not
# at all; s2s starts two servers, a.bench.example and b.bench.example, that find
# each other with "xmppload dns".
#
# "start" prints lines NAME=VALUE: PID (comma separated), ADDR (STARTTLS),
# TLSADDR (direct TLS), DOMAIN and MUC; for s2s ADDR, DOMAIN, ADDR2 and
# DOMAIN2. A program to compare these servers with needs a script with
# the same commands but for install and setup.
set -eu
B=${BENCH_DIR:-/tmp/xmpp-bench}
DOMAIN=bench.test
NET=${BENCH_NET:-127.0.91} # loopback addresses that nothing else uses: .1 to .3, .53
HOST=$NET.1
PAIR=bench.example # the two servers of s2s are a.$PAIR and b.$PAIR
# Erlang's schedulers spin while they wait, which counts as CPU time; these
# flags stop that. ERL_FLAGS_EXTRA= (empty) is ejabberd as it comes.
ERL_FLAGS_EXTRA=${ERL_FLAGS_EXTRA-+sbwt none +sbwtdcpu none +sbwtdio none}
# Prosody as it comes leaves Nagle's algorithm on, which costs 40 ms in each
# login; false turns it off.
PROSODY_NAGLE=${PROSODY_NAGLE:-false}

die() { echo "peers.sh: $*" >&2; exit 1; }

# own checks that a server name is one of ours and that it is stopped.
own() {
	case $1 in prosody|ejabberd) ;; *) die "unknown server $1" ;; esac
	[ ! -e "$B/run/$1.pid" ] || die "stop $1 first"
}

install_packages() {
	"$(dirname "$0")/../apt.sh" prosody lua-dbi-sqlite3 lua-unbound ejabberd erlang-p1-sqlite3 openssl
}

setup() {
	mkdir -p "$B/run" "$B/prosody/data" "$B/ejabberd/data" "$B/cert"
	chmod 755 "$B" "$B/run" "$B/cert"
	if [ ! -e "$B/cert/key.pem" ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
			-keyout "$B/cert/key.pem" -out "$B/cert/cert.pem" -subj "/CN=$DOMAIN" \
			-addext "subjectAltName=DNS:$DOMAIN,DNS:*.$DOMAIN,DNS:a.$PAIR,DNS:b.$PAIR" 2>/dev/null
		cat "$B/cert/key.pem" "$B/cert/cert.pem" >"$B/cert/both.pem"
		chmod 644 "$B"/cert/*.pem
	fi
	local m i n
	for m in mam mamsql nomam; do
		prosody_config $m $DOMAIN "$HOST" "$B/prosody" >"$B/prosody/$m.cfg.lua"
		ejabberd_config $m $DOMAIN "$HOST" "$B/ejabberd" >"$B/ejabberd/$m.yml"
	done
	# Two more of each that talk to each other, as a.$PAIR and b.$PAIR.
	for i in a b; do
		n=2; [ $i = a ] || n=3
		mkdir -p "$B/prosody/s2s-$i/data" "$B/ejabberd/s2s-$i/data"
		prosody_config s2s $i.$PAIR "$NET.$n" "$B/prosody/s2s-$i" >"$B/prosody/s2s-$i/s2s.cfg.lua"
		ejabberd_config s2s $i.$PAIR "$NET.$n" "$B/ejabberd/s2s-$i" >"$B/ejabberd/s2s-$i/s2s.yml"
		printf '{lookup, [file, dns]}.\n{resolv_conf, ""}.\n{hosts_file, ""}.\n{nameserver, {%s,53}}.\n' \
			"${NET//./,}" >"$B/ejabberd/s2s-$i/inetrc"
	done
	echo '{lookup, [file, native]}.' >"$B/ejabberd/inetrc"
	chown -R prosody:prosody "$B/prosody"
	chown -R ejabberd:ejabberd "$B/ejabberd"
}

# Both servers get the same features: roster, blocking, carbons, stream
# management, CSI, PEP, private storage, vCard, offline messages, ping,
# version, registration, group chat and, with mam, archives of one-to-one and
# group messages. No rate limits; logs from warnings on.

prosody_config() { # mode domain address directory
	local domain=$2 host=$3 dir=$4 mam='' mucmam='' s2s='modules_disabled = { "s2s" }'
	local storage='storage = "internal"'
	if [ "$1" = s2s ]; then
		mam='"dialback";'
		s2s="s2s_ports = { 5269 } s2s_secure_auth = false unbound = { resolvconf = false; hoststxt = false; forward = \"$NET.53\"; options = { [\"do-not-query-localhost:\"] = \"no\" } }"
	elif [ "$1" != nomam ]; then
		mam='"mam";'; mucmam='modules_enabled = { "muc_mam" }; muc_log_by_default = true;'
	fi
	if [ "$1" = mamsql ]; then
		storage='storage = { archive = "sql"; muc_log = "sql" }; sql = { driver = "SQLite3", database = "archive.sqlite" }'
	fi
	cat <<-E
	pidfile = "$dir/prosody.pid"
	data_path = "$dir/data"
	certificates = "$B/cert"
	interfaces = { "$host" }
	local_interfaces = { "$host" }
	c2s_ports = { 15222 }
	c2s_direct_tls_ports = { 15223 }
	modules_enabled = {
		"disco"; "roster"; "saslauth"; "tls"; "blocklist"; "bookmarks"; "carbons"; "pep"; "private"; "smacks";
		"vcard4"; "vcard_legacy"; "csi_simple"; "ping"; "register"; "time"; "uptime"; "version"; "posix"; $mam
	}
	$s2s
	allow_registration = true
	c2s_require_encryption = true
	authentication = "internal_hashed"
	$storage
	network_settings = { nagle = $PROSODY_NAGLE }
	archive_expires_after = "1w"
	default_archive_policy = true
	log = { warn = "$dir/prosody.log" }
	ssl = { certificate = "$B/cert/cert.pem"; key = "$B/cert/key.pem" }
	VirtualHost "$domain"
	Component "conference.$domain" "muc"
		restrict_room_creation = false
		$mucmam
	E
}

ejabberd_config() { # mode domain address directory
	local domain=$2 host=$3 dir=$4 mam='' roommam=false db=mnesia sql='' s2s=''
	if [ "$1" = mamsql ]; then
		db=sql
		sql=$(printf 'sql_type: sqlite\nsql_database: "%s"' "$dir/data/archive.sqlite")
	fi
	if [ "$1" = s2s ]; then
		mam='  mod_s2s_dialback: {}'
		s2s="  - {port: 5269, ip: \"$host\", module: ejabberd_s2s_in}"
	elif [ "$1" != nomam ]; then
		mam="  mod_mam: {db_type: $db, default: always, request_activates_archiving: false, assume_mam_usage: true}"
		roommam=true
	fi
	cat <<-E
	hosts: [$domain]
	loglevel: warning
	certfiles: ["$B/cert/both.pem"]
	auth_method: internal
	auth_password_format: scram
	disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
	registration_timeout: infinity
	cache_size: 20000
	default_db: mnesia
	$sql
	listen:
	  - {port: 25222, ip: "$host", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all, starttls_required: true, backlog: 1000}
	  - {port: 25223, ip: "$host", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all, tls: true, backlog: 1000}
	$s2s
	s2s_use_starttls: required
	shaper_rules:
	  max_user_sessions: 10
	  max_user_offline_messages: 5000
	modules:
	  mod_adhoc: {}
	  mod_blocking: {}
	  mod_caps: {}
	  mod_carboncopy: {}
	  mod_client_state: {}
	  mod_disco: {}
	$mam
	  mod_muc:
	    access: all
	    access_create: all
	    access_persistent: all
	    access_mam: all
	    max_users: 5000
	    max_users_presence: 5000
	    user_message_shaper: none
	    room_shaper: none
	    default_room_options: {mam: $roommam, max_users: 5000}
	  mod_offline: {access_max_user_messages: max_user_offline_messages}
	  mod_ping: {}
	  mod_privacy: {}
	  mod_private: {}
	  mod_pubsub: {access_createnode: all, plugins: [flat, pep]}
	  mod_register: {access: all, ip_access: all, welcome_message: {}}
	  mod_roster: {versioning: true}
	  mod_stream_mgmt: {resend_on_timeout: if_offline}
	  mod_time: {}
	  mod_vcard: {search: false}
	  mod_version: {}
	E
}

# wait_ready waits until the server answers a stream for the domain.
wait_ready() { # address port pid domain
	local i reply
	for i in $(seq 300); do
		kill -0 "$3" 2>/dev/null || die "the server ended while starting, see its log under $B"
		reply=$( (
			exec 3<>"/dev/tcp/$1/$2"
			printf "<?xml version='1.0'?><stream:stream to='%s' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>" "$4" >&3
			IFS= read -r -t 1 -N 4000 r <&3
			printf %s "$r"
		) 2>/dev/null) || true
		case $reply in *stream:features*) return 0 ;; esac
		sleep 0.2
	done
	die "no answer on $1:$2"
}

where() { # server mode
	local port
	case $1 in
	prosody) port=1522 ;;
	ejabberd) port=2522 ;;
	*) die "unknown server $1" ;;
	esac
	if [ "${2:-}" = s2s ]; then
		printf '%s\n' "ADDR=$NET.2:${port}2" "DOMAIN=a.$PAIR" "ADDR2=$NET.3:${port}2" "DOMAIN2=b.$PAIR"
	else
		printf '%s\n' "ADDR=$HOST:${port}2" "TLSADDR=$HOST:${port}3" "DOMAIN=$DOMAIN" "MUC=conference.$DOMAIN"
	fi
	if [ -e "$B/run/$1.pid" ]; then echo "PID=$(paste -sd, "$B/run/$1.pid")"; fi
}

# launch starts one instance, notes its process id and waits until it answers.
launch() { # server mode directory address domain
	case $1 in
	prosody)
		HOME=$3 setpriv --reuid=prosody --regid=prosody --init-groups \
			prosody -F --config "$3/$2.cfg.lua" >"$3/out.log" 2>&1 </dev/null &
		echo $! >>"$B/run/$1.pid"
		wait_ready "$4" 15222 $! "$5" ;;
	ejabberd)
		local libs
		libs=$(dpkg -L ejabberd | sed -n 's|/ejabberd-[^/]*/ebin/ejabberd.app$||p')
		# As ejabberdctl does it, but without Erlang distribution, which
		# would need one more daemon.
		(cd "$3" && HOME=$3 ERL_LIBS=$libs ERL_MAX_PORTS=65536 ERL_MAX_ETS_TABLES=1400 \
			ERL_INETRC=$3/inetrc EJABBERD_CONFIG_PATH=$3/$2.yml \
			EJABBERD_LOG_PATH=$3/ejabberd.log ERL_CRASH_DUMP_BYTES=0 \
			exec setpriv --reuid=ejabberd --regid=ejabberd --init-groups \
			erl +K true +P 250000 $ERL_FLAGS_EXTRA -noinput -mnesia dir "\"$3/data\"" -s ejabberd \
			>"$3/out.log" 2>&1 </dev/null) &
		echo $! >>"$B/run/$1.pid"
		wait_ready "$4" 25222 $! "$5" ;;
	*) die "unknown server $1" ;;
	esac
}

start() {
	local name=$1 mode=${2:-mam}
	own "$name"
	ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
	case $mode in
	s2s)
		launch "$name" s2s "$B/$name/s2s-a" $NET.2 a.$PAIR
		launch "$name" s2s "$B/$name/s2s-b" $NET.3 b.$PAIR ;;
	mam|mamsql|nomam)
		launch "$name" "$mode" "$B/$name" "$HOST" $DOMAIN ;;
	*) die "unknown mode $mode" ;;
	esac
	sleep 1
	where "$name" "$mode"
}

stop() { # server signal
	local f=$B/run/$1.pid pid i
	[ -e "$f" ] || return 0
	while read -r pid; do
		# Only what we started: the number may be another process's by now.
		case $(cat "/proc/$pid/comm" 2>/dev/null) in lua*|prosody*|beam.smp|erl*) ;; *) continue ;; esac
		kill "-$2" "$pid" 2>/dev/null || true
		for i in $(seq 300); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -9 "$pid" 2>/dev/null || true
	done <"$f"
	rm -f "$f"
}

case ${1:-} in
install) install_packages ;;
setup) setup ;;
start) start "$2" "${3:-mam}" ;;
stop) stop "$2" TERM ;;
kill) stop "$2" KILL ;;
wipe) own "$2"; rm -rf "$B/$2/data"; install -d -o "$2" -g "$2" "$B/$2/data" ;;
save) own "$2"; rm -rf "$B/$2/saved"; cp -a "$B/$2/data" "$B/$2/saved" ;;
restore) own "$2"; rm -rf "$B/$2/data"; cp -a "$B/$2/saved" "$B/$2/data" ;;
env) where "$2" "${3:-}" ;;
*) sed -n '2,25p' "$0"; exit 2 ;;
esac
