"""Which address a person or room of Matrix has in XMPP and the other way round: written from the published rules (docs/bridges/matrix.md), not
from the server's code, so that a change of the addresses fails here."""

from .processes import DOMAIN

ESCAPES = {" ": "\\20", '"': "\\22", "&": "\\26", "'": "\\27", "/": "\\2f", ":": "\\3a", "<": "\\3c", ">": "\\3e", "@": "\\40"}
PEOPLE, ROOMS = f"matrix.{DOMAIN}", f"rooms.matrix.{DOMAIN}"


def escape(text):
    """XEP-0106 §4.2, for texts without a backslash."""
    return "".join(ESCAPES.get(c, c) for c in text)


def masked(text):
    """Lower case with the places of the capitals as a bitmap, the first character's the lowest bit."""
    mask = sum(1 << i for i, c in enumerate(text) if c.isupper())
    return escape(text.lower()) + (f"~{mask:x}" if mask else "")


def _address(identifier, sigil, host):
    local, colon, server = identifier.partition(":")
    return f"{sigil}{masked(local[1:])}{'%' + escape(server) if colon else ''}@{host}"


def of_person(user_id):
    return _address(user_id, "", PEOPLE)


def of_alias(alias):
    return _address(alias, "#", ROOMS)


def of_room(room_id):
    return _address(room_id, "!", ROOMS)


def ghost(name, server_name):
    """The Matrix user that an account of this server appears as."""
    return f"@_xmpp_{name}=40{DOMAIN}:{server_name}"
