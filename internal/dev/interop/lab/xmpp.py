"""An XMPP person: slixmpp, with what a good client adds to a library.

It resumes its stream (XEP-0198), and when that cannot be done it enters its rooms again with their history since what it has seen,
and sends again what was not acknowledged, with the same origin-id (XEP-0359). What arrives is known by its stanza-id.
"""

import asyncio
import datetime
import secrets

import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from .report import Record

SID = "{urn:xmpp:sid:0}"
SM = "{urn:xmpp:sm:3}"
USER = "{http://jabber.org/protocol/muc#user}"
OCCUPANT = "{urn:xmpp:occupant-id:0}occupant-id"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
PLUGINS = ("xep_0030", "xep_0045", "xep_0054", "xep_0085", "xep_0153", "xep_0172", "xep_0198", "xep_0199", "xep_0203", "xep_0249", "xep_0359")
MARGIN = datetime.timedelta(seconds=30)  # clocks differ: history is asked for from a little earlier on


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, stanza):
        error = stanza.xml.find("{jabber:client}error")
        self.condition, self.text, self.uri = "", "", ""
        for child in error if error is not None else []:
            if child.tag == STANZAS + "text":
                self.text = child.text or ""
            elif child.tag.startswith(STANZAS):
                self.condition, self.uri = child.tag[len(STANZAS):], child.text or ""
        super().__init__(f"{self.condition}: {self.text}")


def stanza_id(message, room):
    """The id that the room gave a message (XEP-0359), "" if there is none."""
    for child in message.xml.findall(SID + "stanza-id"):
        if child.get("by") == room:
            return child.get("id")
    return ""


def occupant_id(stanza):
    child = stanza.xml.find(OCCUPANT)
    return child.get("id") if child is not None else ""


def origin_id(message):
    child = message.xml.find(SID + "origin-id")
    return child.get("id") if child is not None else ""


class Person(slixmpp.ClientXMPP):
    """One client of one account. messages and presences hold all that arrived, in order."""

    def __init__(self, account, password, port, ca_file, resource=""):
        super().__init__(f"{account}{'/' + resource if resource else ''}", password)
        self.name, self.port = account.partition("@")[0], port
        self.messages, self.presences = Record(), Record()
        self.rooms = {}  # room -> nick, where it wants to be
        self.present = {}  # room -> {nick: presence}
        self.pending = {}  # origin-id -> message, not yet acknowledged, in the order of sending
        self.acked = []  # origin-ids in the order of their acknowledgements
        self.inside = asyncio.Event()  # in every room it wants to be in
        self.closing = False
        self.resumed = self.restarted = 0
        self._seen_at = None
        self._next = None  # the timer of the next attempt to connect
        self.enable_direct_tls = False
        self.enable_plaintext = False
        self.ca_certs = str(ca_file)
        # Before the plugin's own handler, which forgets what was not acknowledged.
        self.register_handler(Callback("failed resumption", MatchXPath(SM + "failed"), self._on_failed, instream=True))
        self.register_handler(Callback("every message", MatchXPath("{jabber:client}message"), self._on_message))
        self.register_handler(Callback("every presence", MatchXPath("{jabber:client}presence"), self._on_presence))
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        for event, handler in (("session_start", self._on_start), ("session_resumed", self._on_resumed), ("stanza_acked", self._on_acked),
                               ("disconnected", self._on_disconnected), ("connection_failed", self._on_unreachable)):
            self.add_event_handler(event, handler)

    async def online(self):
        """Connects, and returns when the session has begun."""
        began = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: began.done() or began.set_result(None), disposable=True)
        self.add_event_handler("failed_all_auth", lambda why: began.done() or began.set_exception(RuntimeError(f"login refused: {why}")))
        self.connect("127.0.0.1", self.port)
        await began

    async def offline(self):
        self.closing = True
        self.inside.clear()
        await self.disconnect()

    # --- rooms

    async def enter(self, room, nick, **history):
        """Enters a room and stays in it; returns the own presence, raises Refused."""
        mark = self.presences.mark()
        self.present[room] = {}
        self.send(self.plugin["xep_0045"].make_join_stanza(slixmpp.JID(room), nick, **history))

        def answer(p):
            return p["from"].bare == room and (p["type"] == "error" or "110" in [s.get("code") for s in p.xml.iter(USER + "status")])

        got = await self.presences.find(answer, mark)
        if got["type"] == "error":
            raise Refused(got)
        self.rooms[room] = got["from"].resource
        if not self.pending:
            self.inside.set()  # else what was said before goes first: see _send_again
        return got

    def leave(self, room):
        nick = self.rooms.pop(room)
        self.send_presence(pto=f"{room}/{nick}", ptype="unavailable")

    def change_nick(self, room, nick):
        self.send_presence(pto=f"{room}/{nick}")
        self.rooms[room] = nick

    def set_subject(self, room, text):
        self.send_message(room, None, msubject=text, mtype="groupchat")

    def say(self, room, body):
        """Writes into a room, at once if there is a connection, else when there is one again; returns the origin-id."""
        message = self.make_message(slixmpp.JID(room), body, mtype="groupchat")
        message["id"] = message["origin_id"]["id"] = secrets.token_hex(10)
        self.pending[message["id"]] = message
        if self.inside.is_set():
            self.send(message)
        return message["id"]

    def occupant(self, room, nick):
        """The presence of somebody who is in the room now, or None."""
        return self.present.get(room, {}).get(nick)

    def said(self, room, body=None, nick=None):
        """A condition for messages: a body from somebody in a room (not from the room itself)."""
        def match(m):
            return (m["type"] == "groupchat" and m["from"].bare == room and (body is None or m["body"] == body)
                    and bool(m["body"]) and m["from"].resource != "" and (nick is None or m["from"].resource == nick))
        return match

    def request_acks(self):
        """Asks the server what it has acknowledged, as a client does that waits for it."""
        if self.transport is not None and self.plugin["xep_0198"].enabled_out:
            self.plugin["xep_0198"].request_ack()

    # --- what arrives

    def _on_message(self, message):
        if message["type"] != "error":
            self._seen_at = datetime.datetime.now(datetime.timezone.utc)
        self.messages.add(message)

    def _on_presence(self, presence):
        room, nick = presence["from"].bare, presence["from"].resource
        if room in self.present and nick and presence["type"] != "error":
            if presence["type"] == "unavailable":
                self.present[room].pop(nick, None)
            else:
                self.present[room][nick] = presence
        self.presences.add(presence)

    # --- the stream and its ends

    async def _on_start(self, _event):
        self.send_presence()
        if not self.rooms:
            return
        self.restarted += 1
        since = self._seen_at - MARGIN if self._seen_at else None
        try:
            for room, nick in list(self.rooms.items()):
                await asyncio.wait_for(self.enter(room, nick, since=since), 60)
        except Refused as error:
            if error.condition == "conflict":  # the nick is held by the session that the server has not missed yet
                await asyncio.sleep(1)
            self.abort()
            return
        except asyncio.TimeoutError:
            self.abort()
            return
        self._send_again(set())

    def _on_resumed(self, _event):
        self.resumed += 1
        # The plugin sends again what it had put on the wire; the rest never left.
        self._send_again({stanza["id"] for _, stanza in self.plugin["xep_0198"].unacked_queue})

    def _send_again(self, but):
        """Sends what was not acknowledged, in its order; what is said from now on comes behind it."""
        for key, message in self.pending.items():
            if key not in but:
                self.send(message)
        if self.rooms:
            self.inside.set()

    def _on_failed(self, failed):
        """The server no longer has the stream, but says how much of it it handled (XEP-0198 §5)."""
        plugin, h = self.plugin["xep_0198"], failed.xml.get("h")
        if h is None:
            return
        handled = (int(h) - plugin.last_ack) % 2**32
        # What the server kept may be behind what it had acknowledged in the end (presence is not kept): then it says nothing new.
        for _ in range(handled if handled <= len(plugin.unacked_queue) else 0):
            self._on_acked(plugin.unacked_queue.popleft()[1])

    def _on_acked(self, stanza):
        if isinstance(stanza, slixmpp.Message) and self.pending.pop(stanza["id"], None) is not None:
            self.acked.append(stanza["id"])

    def _on_disconnected(self, _reason):
        self.inside.clear()
        self._reset_sendq()  # what the library has not sent is in pending
        self._soon()

    def _on_unreachable(self, _reason):
        self._soon()

    def _soon(self):
        """Connects again in a moment; the library itself would wait longer each time."""
        if not self.closing and self._next is None:
            self._next = self.loop.call_later(0.2, self._again)

    def _again(self):
        self._next = None
        if not self.closing and not self.is_connected():
            self.connect("127.0.0.1", self.port)
