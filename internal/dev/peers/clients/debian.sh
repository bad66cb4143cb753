#!/usr/bin/env bash
# debian.sh ADDR DOMAIN: the clients that Debian 12 has, slixmpp 1.8 and profanity, log in to a running server over STARTTLS,
# write to each other and meet in a room. The server must let people register; any certificate is taken. ADDR is HOST:PORT. As root it installs the two.
# They are older than what check.sh uses: slixmpp 1.8 knows only the channel binding tls-unique, which TLS 1.3 does not have.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../lib.sh
. "$here/../lib.sh"
(($# == 2)) || die "usage: debian.sh HOST:PORT DOMAIN"
"$here/../../apt.sh" python3-slixmpp python3-pyte profanity
exec "${CLEAN[@]}" /usr/bin/python3 "$here/debian.py" "$@"
