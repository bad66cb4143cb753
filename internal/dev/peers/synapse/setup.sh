#!/usr/bin/env bash
# Installs Synapse into $PEERS_DIR/synapse; nothing to do when it is there. Two ways:
#   pip     a Python virtual environment with matrix-synapse from PyPI (no root)
#   debian  a minimal Debian sid tree made by debootstrap with Debian's matrix-synapse (root; sid floats)
# SYNAPSE_WAY=pip|debian forces one; the default, auto, tries pip and then debian.
# Other variables: PEERS_DIR SYNAPSE_VERSION (pip way) PYTHON DEBIAN_MIRROR
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../lib.sh
. "$here/../lib.sh"
peer_init synapse

WAY="${SYNAPSE_WAY:-auto}"
VERSION="${SYNAPSE_VERSION:-1.160.0}"
# The system's interpreter first: one that a person put in front of it in PATH may lack venv or be rebuilt.
PYTHON="${PYTHON:-$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || echo python3)}"
# The mirror apt itself uses, unless one is named.
MIRROR="${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -n 1)}"

need flock util-linux
lock_setup
have="$(cat "$BASE/version" 2>/dev/null || true)" # "WAY VERSION"
case "$WAY ${have%% *}" in
  'auto debian' | 'debian debian') have_it=yes ;;
  'auto pip' | 'pip pip') [ "$have" = "pip $VERSION" ] && have_it=yes || have_it=no ;;
  *) have_it=no ;;
esac
if [ "$have_it" = yes ]; then
  log "synapse: already installed: $have"
  exit 0
fi
need curl curl
need openssl openssl

# Synapse publishes manylinux wheels; SQLite needs no extra.
setup_pip() {
  local venv="$BASE/venv"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { log "pip way: needs $PYTHON >= 3.10"; return 1; }
  case "$have" in pip*) rm -f "$BASE/version" ;; esac
  rm -rf "$venv"
  if ! "$PYTHON" -m venv "$venv" >"$BASE/venv.log" 2>&1; then
    log "pip way: $PYTHON cannot make a virtual environment (Debian package: python3-venv)"
    rm -rf "$venv"
    return 1
  fi
  if ! "$venv/bin/pip" --disable-pip-version-check --timeout 15 --retries 2 install "matrix-synapse==$VERSION" >"$BASE/pip.log" 2>&1; then
    log "pip way: pip install failed: $(grep -v '^$' "$BASE/pip.log" | tail -n 1)"
    rm -rf "$venv"
    return 1
  fi
  "$venv/bin/python" -c 'import synapse.app.homeserver' || { rm -rf "$venv"; return 1; }
  echo "pip $("$venv/bin/python" -c 'import importlib.metadata as m; print(m.version("matrix-synapse"))')" >"$BASE/version"
}

# The whole bootstrap runs in a private mount namespace, so no mount is left behind, whatever happens.
setup_debian() {
  [ "$(id -u)" = 0 ] || { log "debian way: needs root"; return 1; }
  command -v apt-get >/dev/null || { log "debian way: needs apt"; return 1; }
  need unshare util-linux
  if ! command -v debootstrap >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap debian-archive-keyring
  fi
  local root="$BASE/root"
  rm -rf "$root.new"
  log "debian way: debootstrap of sid from $MIRROR, log in $BASE/debian.log"
  # shellcheck disable=SC2016
  if ! unshare --mount bash -euc '
      root=$1 mirror=$2
      debootstrap --variant=minbase --include=ca-certificates sid "$root" "$mirror"
      mountpoint -q "$root/proc" || mount --bind /proc "$root/proc"
      printf "#!/bin/sh\nexit 101\n" >"$root/usr/sbin/policy-rc.d" # no daemons from postinst scripts
      chmod 755 "$root/usr/sbin/policy-rc.d"
      printf "%s\n" "matrix-synapse matrix-synapse/server-name string localhost" \
        "matrix-synapse matrix-synapse/report-stats boolean false" | chroot "$root" debconf-set-selections
      chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends matrix-synapse
      chroot "$root" apt-get clean
    ' bash "$root.new" "$MIRROR" >"$BASE/debian.log" 2>&1 </dev/null; then
    tail -n 20 "$BASE/debian.log" >&2
    return 1
  fi
  rm -rf "$root"
  mv "$root.new" "$root"
  # shellcheck disable=SC2016
  echo "debian $(chroot "$root" dpkg-query -W -f '${Version}' matrix-synapse)" >"$BASE/version"
}

case "$WAY" in
  auto) setup_pip || setup_debian || die "synapse: neither way worked" ;;
  pip) setup_pip || die "synapse: the pip way failed" ;;
  debian) setup_debian || die "synapse: the debian way failed" ;;
  *) die "SYNAPSE_WAY: auto, pip or debian" ;;
esac
log "synapse: installed: $(cat "$BASE/version")"
