#!/usr/bin/env bash
# apt.sh PACKAGE...: makes sure that these Debian packages are installed, and starts no service.
# As root it installs what is missing; as somebody else it says what an administrator has to install.
set -euo pipefail

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=()
for package; do
  installed "$package" || missing+=("$package")
done
((${#missing[@]})) || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "apt.sh: missing Debian packages; run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

# The maintainers' scripts ask policy-rc.d whether they may start a service: no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
log="$(mktemp)"
apt=(apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -qq)
export DEBIAN_FRONTEND=noninteractive
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 30 "$log" >&2
  rm -f "$log"
  exit 1
fi
rm -f "$log"
# Nor at the next boot.
for unit in prosody.service ejabberd.service epmd.service epmd.socket; do
  systemctl disable --quiet "$unit" 2>/dev/null || true
done
echo "apt.sh: installed ${missing[*]}"
