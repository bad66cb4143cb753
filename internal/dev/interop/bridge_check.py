"""People of XMPP (slixmpp) and of Matrix (matrix-nio on a real homeserver) use one room, and each sees the other as a person.

    bridge_check.py dendrite|synapse

Prints one line for each thing that is proven. Exit status 0 only if all of them are. Needs bin/ (VIADUCT_BIN_DIR) and the peers of
internal/dev/peers; run.sh has both.
"""

import asyncio
import hashlib
import logging
import struct
import sys
import zlib

from lab import addresses, matrix, xmpp
from lab.processes import DOMAIN
from lab.report import Abandoned, Report, until
from lab.scene import Scene

RED, GREEN = (200, 30, 90), (20, 140, 40)
SLOW = 75  # seconds for what a homeserver that pushes no presence is asked for in intervals
LONG = "A long message. " * 1200
TEXTS = (
    ("plain text", "hello, world"),
    ("unicode", "naïve Ünïcode: привет, 你好, שלום, 👩‍👩‍👧 é\u0301"),
    ("several lines", "one\n  two\n\nfour"),
    ("characters of markup that are none", "if (a < b && c > d) { x = \"*y*\"; } 2*3*4 snake_case_name <b>no</b> &amp; \\ %s"),
    ("a long text", LONG.strip()),
)


def png(rgb):
    """A picture of 32 x 32 points in one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes(rgb) * 32) * 32
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def colour(picture):
    """The first point of a PNG (true colour or palette), None if it is none: homeservers scale pictures, and write them anew."""
    if not picture or picture[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    chunks, at = {}, 8
    while at < len(picture):
        length, kind = struct.unpack(">I4s", picture[at:at + 8])
        chunks[kind] = chunks.get(kind, b"") + picture[at + 8:at + 8 + length]
        at += 12 + length
    point = zlib.decompress(chunks[b"IDAT"])[1:4]
    return tuple(chunks[b"PLTE"][3 * point[0]:3 * point[0] + 3] if chunks[b"IHDR"][9] == 3 else point)


def difference(got, want):
    """Where two texts begin to differ."""
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return f"at {at} of {len(want)}: {got[at:at + 80]!r} ({len(got)} in all) instead of {want[at:at + 80]!r}"


class Check:
    """One run against one homeserver."""

    def __init__(self, kind):
        self.report = Report()
        # Dendrite's name has a port, which XMPP addresses must carry escaped; Synapse's is a plain one.
        self.scene = Scene(self.report, kind, "bridge", [f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"], None if kind == "dendrite" else "hs.test")
        self.hs = self.scene.hs
        self.alias = f"#talk:{self.hs.server_name}"
        self.juliet_there, self.romeo_there = self.scene.ghost("juliet"), self.scene.ghost("romeo")
        self.face, self.juliet_face = png(RED), png(GREEN)

    # --- setting up

    async def set_up(self):
        scene = self.scene
        await scene.enter(("juliet", "romeo", "mallory"))
        self.alice = await scene.matrix_person("alice")
        self.bob = await scene.matrix_person("bob")
        self.witness = matrix.Witness(self.hs, self.alice.client.access_token)
        await self.alice.set_name("Alice A.")
        await self.bob.set_name("Bob")
        await self.alice.set_avatar(self.face)
        self.room = await self.alice.create_room("talk", name="Talk", topic="What a lovely day",
                                                 power_level_override={"events": {"m.room.topic": 0}})
        await self.bob.join(self.room)
        self.juliet = await scene.xmpp_person("juliet", "balcony")
        self.muc = addresses.of_room(self.room)

    # --- entering

    async def entering(self):
        r = self.report
        self.history_body = "said before anybody came from XMPP"
        await self.alice.say(self.room, self.history_body)
        await self.by_alias()
        own = await r.must("juliet enters by the room's id", self.juliet.enter(self.muc, "Juliet"), 60)
        r.that("her own presence is marked, with her nick", own["from"].resource == "Juliet", own)
        await r.wait("on Matrix she is in the room, with her name",
                     self.alice.events.find(self.alice.member(self.room, self.juliet_there, "join")))
        await r.wait("her display name there is her nick", until(self._juliet_named("Juliet")))
        subject = await r.wait("the topic is the room's subject",
                               self.juliet.messages.find(lambda m: m["type"] == "groupchat" and m["subject"] == "What a lovely day"))
        del subject
        await self.puppets()
        self.romeo = await self.scene.xmpp_person("romeo", "garden")
        await r.must("romeo enters", self.romeo.enter(self.muc, "Romeo"), 60)
        await r.wait("on Matrix he is in the room", self.alice.events.find(self.alice.member(self.room, self.romeo_there, "join")))
        await r.wait("juliet sees him", until(lambda: self.juliet.occupant(self.muc, "Romeo")))

    async def by_alias(self):
        r = self.report
        typed = addresses.of_alias(self.alias)
        try:
            await asyncio.wait_for(self.juliet.enter(typed, "Juliet"), 60)
            r.that(f"juliet enters by the alias {self.alias}", True)
            self.juliet.leave(typed)
        except xmpp.Refused as answer:
            r.that("the typed alias is answered with the room's one address", answer.condition == "gone" and answer.uri.startswith(f"xmpp:{self.muc}?join"),
                   f"{answer}, {answer.uri!r}, wanted {self.muc}")
            r.that("with a text for people", self.muc in answer.text, answer)
            await r.wait("and with an invitation (XEP-0249)", self.juliet.messages.find(
                lambda m: any(x.get("jid") == self.muc for x in m.xml.iter("{jabber:x:conference}x"))))
        except asyncio.TimeoutError:
            r.that(f"juliet enters by the alias {self.alias}", False, "no answer")

    def _juliet_named(self, name):
        async def asked():
            try:
                return (await self.witness.profile(self.juliet_there)).get("displayname") == name
            except RuntimeError:
                return False
        return asked

    async def puppets(self):
        r, juliet = self.report, self.juliet
        for nick, user, levels, roles in (("Alice A.", self.alice.user_id, ("owner",), ("moderator",)),
                                          ("Bob", self.bob.user_id, ("member", "none"), ("participant",))):
            presence = await r.wait(f"{nick} is in the room", until(lambda nick=nick: juliet.occupant(self.muc, nick)))
            if presence is None:
                continue
            item = presence.xml.find(f"{xmpp.USER}x/{xmpp.USER}item")
            r.that(f"{nick} has the address of {user}", item.get("jid", "").split("/")[0] == addresses.of_person(user), item.get("jid"))
            r.that(f"{nick} is {levels[0]} and {roles[0]}", item.get("affiliation") in levels and item.get("role") in roles, dict(item.attrib))
            r.that(f"{nick} has an occupant id", xmpp.occupant_id(presence) != "")
        await self.avatar_in()

    async def avatar_in(self):
        r = self.report

        def announced():
            presence = self.juliet.occupant(self.muc, "Alice A.")
            photo = presence.xml.find("{vcard-temp:x:update}x/{vcard-temp:x:update}photo") if presence is not None else None
            return photo is not None and photo.text
        got = await r.wait("Alice's presence has a picture's hash", until(announced))
        card = await r.wait("her vCard can be asked for", self.juliet.plugin["xep_0054"].get_vcard(f"{self.muc}/Alice A.", cached=False, timeout=20))
        if card is not None:
            photo = card["vcard_temp"]["PHOTO"]["BINVAL"]
            r.that("it holds her picture", colour(photo) == RED, photo)
            r.that("which has that hash", hashlib.sha1(photo or b"").hexdigest() == got, got)
            r.that("and her name", "Alice A." in (card["vcard_temp"]["FN"], card["vcard_temp"]["NICKNAME"]), card["vcard_temp"]["FN"])

    # --- talking

    async def texts(self):
        r = self.report
        for what, body in TEXTS:
            mark, ids = self.alice.events.mark(), self.juliet.messages.mark()
            origin = self.juliet.say(self.muc, body)
            event = await r.wait(f"{what}: juliet writes, alice sees it from her", self.alice.events.find(self.alice.text(self.room, sender=self.juliet_there), mark))
            if event:
                r.that(f"{what}: it is what she wrote", event["content"]["body"] == body, difference(event["content"]["body"], body))
            await r.wait(f"{what}: romeo reads it", self.romeo.messages.find(self.romeo.said(self.muc, body, "Juliet")))
            own = await r.wait(f"{what}: juliet's client sees it back with her origin-id",
                               self.juliet.messages.find(lambda m, o=origin: xmpp.origin_id(m) == o and m["type"] == "groupchat", ids))
            if own:
                r.that(f"{what}: it has the room's stanza-id", xmpp.stanza_id(own, self.muc) != "")
        for what, body in TEXTS:
            body += " (from Matrix)"
            await self.alice.say(self.room, body)
            for person in (self.juliet, self.romeo):
                got = await r.wait(f"{what}: alice writes, {person.name} reads", person.messages.find(person.said(self.muc, body)))
                if got:
                    r.that(f"{what}: it is from Alice A., with occupant id and stanza-id", got["from"].resource == "Alice A."
                           and xmpp.occupant_id(got) == xmpp.occupant_id(person.occupant(self.muc, "Alice A."))
                           and xmpp.stanza_id(got, self.muc) != "", got)
        await self.styled()
        await self.directions_at_once()

    async def styled(self):
        """XEP-0393 here is HTML there, and the other way round."""
        r = self.report
        self.juliet.say(self.muc, "*strong* _soft_ ~gone~ `code`")
        event = await r.wait("styled text: juliet writes, alice sees it", self.alice.events.find(
            lambda e: e["type"] == "m.room.message" and "strong" in e["content"].get("body", "")))
        if event:
            html = event["content"].get("formatted_body", "")
            r.that("as HTML", all(tag in html for tag in ("<strong>strong</strong>", "<em>soft</em>", "<del>gone</del>", "<code>code</code>")), event["content"])
        await self.alice.say(self.room, "strong and soft", html="<strong>strong</strong> and <em>soft</em>")
        await r.wait("HTML: alice writes, juliet reads it styled", self.juliet.messages.find(self.juliet.said(self.muc, "*strong* and _soft_", "Alice A.")))

    async def directions_at_once(self):
        """Both sides write without waiting; each side keeps the order of each sender."""
        r, count = self.report, 30
        for n in range(count):
            self.juliet.say(self.muc, f"juliet counts {n}")
            self.romeo.say(self.muc, f"romeo counts {n}")
        await asyncio.gather(*(self._count(person, name) for person, name in ((self.alice, "alice"), (self.bob, "bob"))))
        for name in ("juliet", "romeo"):
            want = [f"{name} counts {n}" for n in range(count)]
            await r.wait(f"{count} of {name}'s messages reach Matrix", until(lambda w=want: len(self._there(w[0][:-1])) >= count), 60)
            r.that("in order, none twice", self._there(want[0][:-1]) == want, self._there(want[0][:-1]))
        for name in ("alice", "bob"):
            want = [f"{name} counts {n}" for n in range(10)]
            for person in (self.juliet, self.romeo):
                await r.wait(f"10 of {name}'s messages reach {person.name}", until(lambda p=person, w=want: len(self._here(p, w[0][:-1])) >= 10), 60)
                r.that("in order, none twice", self._here(person, want[0][:-1]) == want, self._here(person, want[0][:-1]))

    async def _count(self, person, name):
        for n in range(10):
            await person.say(self.room, f"{name} counts {n}")

    def _there(self, prefix):
        return [e["content"]["body"] for e in self.bob.events.all(self.bob.text(self.room)) if e["content"].get("body", "").startswith(prefix)]

    def _here(self, person, prefix):
        return [m["body"] for m in person.messages.all(person.said(self.muc)) if m["body"].startswith(prefix)]

    # --- names, topic, signals

    async def names(self):
        r = self.report
        mark = self.juliet.presences.mark()
        before = xmpp.occupant_id(self.juliet.occupant(self.muc, "Bob") or self.juliet.presences.items[0])
        await self.bob.set_name("Robert")
        changed = await r.wait("bob's new display name is a change of nick (303)", self.juliet.presences.find(
            lambda p: p["from"] == f"{self.muc}/Bob" and "303" in [s.get("code") for s in p.xml.iter(xmpp.USER + "status")], mark))
        if changed:
            r.that("to the new name", changed.xml.find(f"{xmpp.USER}x/{xmpp.USER}item").get("nick") == "Robert", changed)
        there = await r.wait("Robert is in the room", until(lambda: self.juliet.occupant(self.muc, "Robert")))
        if there:
            r.that("with the same occupant id", xmpp.occupant_id(there) == before)
        self.juliet.change_nick(self.muc, "Giulietta")
        await r.wait("juliet's change of nick is a change of name on Matrix",
                     self.alice.events.find(self.alice.member(self.room, self.juliet_there, "join", "Giulietta")))

    async def avatar_out(self):
        r = self.report

        async def there():
            try:
                uri = (await self.witness.profile(self.juliet_there)).get("avatar_url")
                return uri and await self.witness.media(uri)
            except RuntimeError:
                return None
        vcards = self.juliet.plugin["xep_0054"]
        card = vcards.make_vcard()
        card["FN"] = "Juliet Capulet"
        card["PHOTO"]["TYPE"], card["PHOTO"]["BINVAL"] = "image/png", self.juliet_face
        await r.wait("juliet publishes a vCard with a picture", vcards.publish_vcard(vcard=card, timeout=20))
        update = self.juliet.make_presence(pto=f"{self.muc}/{self.juliet.rooms[self.muc]}")
        update["vcard_temp_update"]["photo"] = hashlib.sha1(self.juliet_face).hexdigest()
        self.juliet.send(update)
        self.juliet.say(self.muc, "look at me")
        got = await r.wait("Matrix people see it", until(there, 0.5))
        if got:
            r.that("byte by byte", got == self.juliet_face, f"{len(got)} bytes")

    async def topic(self):
        r = self.report
        await self.alice.set_topic(self.room, "Topic of Alice <&> ü")
        got = await r.wait("alice's topic is the subject", self.juliet.messages.find(lambda m: m["subject"] == "Topic of Alice <&> ü"))
        if got:
            r.that("set by Alice A.", got["from"].resource == "Alice A.", got["from"])
        mark = self.romeo.messages.mark()
        self.romeo.set_subject(self.muc, "Subject of Romeo")
        got = await r.wait("romeo's subject is the topic", self.alice.events.find(
            lambda e: e["type"] == "m.room.topic" and e["content"].get("topic") == "Subject of Romeo"))
        if got:
            r.that("set by romeo", got["sender"] == self.romeo_there, got["sender"])
        else:
            r.note("; ".join(str(m) for m in self.romeo.messages.items[mark:] if m["type"] == "error" or m["subject"]))

    async def typing(self):
        r = self.report
        mark = self.alice.typing.mark()
        state = self.juliet.make_message(self.muc, mtype="groupchat")
        state["chat_state"] = "composing"
        self.juliet.send(state)
        await r.wait("juliet composes, alice sees her typing", self.alice.typing.find(lambda t: self.juliet_there in t["users"], mark))
        state = self.juliet.make_message(self.muc, mtype="groupchat")
        state["chat_state"] = "paused"
        self.juliet.send(state)
        await r.wait("juliet pauses, alice sees that", self.alice.typing.find(lambda t: self.juliet_there not in t["users"], self.alice.typing.mark()))
        # Synapse pushes it; Dendrite pushes none (internal/dev/peers/README.md): there the bridge's bot asks, once a second.
        await self.alice.set_typing(self.room, True)
        await r.wait("alice types, juliet sees her composing", self.juliet.messages.find(
            lambda m: m["from"] == f"{self.muc}/Alice A." and m["chat_state"] == "composing"))
        await self.alice.set_typing(self.room, False)
        await r.wait("alice stops, juliet sees that", self.juliet.messages.find(
            lambda m: m["from"] == f"{self.muc}/Alice A." and m["chat_state"] in ("active", "paused", "inactive")))

    async def presence(self):
        r, mark = self.report, self.juliet.presences.mark()
        await self.bob.set_presence("unavailable", "having lunch")
        got = await r.wait("bob is idle, juliet sees him away", self.juliet.presences.find(
            lambda p: p["from"] == f"{self.muc}/Robert" and p["show"] in ("away", "xa"), mark), SLOW)
        if got:
            r.that("with his status", got["status"] == "having lunch", got["status"])
        mark = self.juliet.presences.mark()
        await self.bob.set_presence("online", "")
        await r.wait("bob is back, juliet sees him available", self.juliet.presences.find(
            lambda p: p["from"] == f"{self.muc}/Robert" and p["type"] == "available" and p["show"] == "", mark), SLOW)
        self.romeo.send_presence(pshow="away", pstatus="under the balcony")
        self.romeo.send_presence(pto=f"{self.muc}/Romeo", pshow="away", pstatus="under the balcony")

        async def away():
            got = await self.witness.presence(self.romeo_there)
            return got.get("presence") == "unavailable" and got.get("status_msg") == "under the balcony"
        await r.wait("romeo is away, Matrix sees him unavailable with his status", until(away, 0.5), 30)
        self.budget()

    def budget(self):
        """Dendrite pushes neither presence nor typing: the bridge's bot asks, at most once a second; Synapse is not asked at all."""
        asked, seconds = self.scene.server.requests("/sync"), self.scene.server.running()
        self.report.that(f"for presence and typing the bridge has asked {asked} times in {seconds:.0f} s",
                         1 <= asked <= seconds + 2 if self.hs.kind == "dendrite" else asked == 0)

    # --- who may what, and leaving

    async def refusals(self):
        r = self.report
        mallory = await self.scene.xmpp_person("mallory", "street")
        for what, address in (("a room that is bridged", self.muc), ("any room", addresses.of_alias(f"#other:{self.hs.server_name}"))):
            try:
                await asyncio.wait_for(mallory.enter(address, "Mallory"), 60)
                r.that(f"mallory, whom `allow` does not name, may not enter {what}", False, "entered")
            except (xmpp.Refused, asyncio.TimeoutError) as answer:
                r.that(f"mallory, whom `allow` does not name, may not enter {what}",
                       getattr(answer, "condition", "") == "forbidden" and answer.text, repr(answer))
        await mallory.offline()
        ghosts = [e for e in await self.witness.timeline(self.room) if e.get("state_key", "").startswith("@_xmpp_mallory")]
        r.that("and never appeared on Matrix", not ghosts, ghosts)
        for what, address in (("an alias that nobody has", addresses.of_alias(f"#nosuchroom:{self.hs.server_name}")),
                              ("a room id that nobody has", addresses.of_room(f"!nosuchroom:{self.hs.server_name}"))):
            try:
                await asyncio.wait_for(self.juliet.enter(address, "Juliet"), 60)
                r.that(f"{what} is refused with a text", False, "entered")
            except (xmpp.Refused, asyncio.TimeoutError) as answer:
                r.that(f"{what} is refused with a text", getattr(answer, "text", "") and answer.condition != "internal-server-error", repr(answer))
                r.note(f"the text: {getattr(answer, 'text', '')}")

    async def two_clients(self):
        r = self.report
        second = await self.scene.xmpp_person("juliet", "phone")
        joins = len([e for e in await self.witness.timeline(self.room) if e.get("state_key") == self.juliet_there])
        nick = self.juliet.rooms[self.muc]
        await r.wait("juliet's second client enters with the same nick", second.enter(self.muc, nick))
        history = second.messages.all(second.said(self.muc))
        r.that("it is given the room's history, stamped", history and all(m.xml.find("{urn:xmpp:delay}delay") is not None for m in history), len(history))
        r.that("from Matrix people and XMPP people by their nicks", {"Alice A.", nick} & {m["from"].resource for m in history},
               {m["from"].resource for m in history})
        ids = [xmpp.stanza_id(m, self.muc) for m in history]
        r.that("with stanza-ids, each once", all(ids) and len(set(ids)) == len(ids), ids)
        second.say(self.muc, "from my phone")
        got = await r.wait("what it says is juliet's on Matrix", self.alice.events.find(self.alice.text(self.room, "from my phone")))
        if got:
            r.that("of the one ghost", got["sender"] == self.juliet_there, got["sender"])
        await r.wait("her first client sees it", self.juliet.messages.find(self.juliet.said(self.muc, "from my phone")))
        await second.offline()
        self.juliet.say(self.muc, "my phone is off")
        await r.wait("with one client gone she is still there", self.alice.events.find(self.alice.text(self.room, "my phone is off")))
        members = [e for e in await self.witness.timeline(self.room) if e.get("state_key") == self.juliet_there]
        r.that("no second ghost, no second join", len(members) == joins, [e["content"] for e in members])

    async def leaving(self):
        r = self.report
        mark = self.juliet.presences.mark()
        await self.bob.leave(self.room)
        await r.wait("bob leaves, juliet sees it", self.juliet.presences.find(
            lambda p: p["from"] == f"{self.muc}/Robert" and p["type"] == "unavailable", mark), 40)
        await self.bob.join(self.room)
        await self.bob.say(self.room, "here again")
        await r.wait("he comes back and speaks", self.juliet.messages.find(self.juliet.said(self.muc, "here again", "Robert")), 40)
        self.romeo.leave(self.muc)
        await r.wait("romeo leaves, Matrix sees it", self.alice.events.find(self.alice.member(self.room, self.romeo_there, "leave")), 40)
        await r.must("romeo comes back", self.romeo.enter(self.muc, "Romeo"))
        self.romeo.say(self.muc, "back I am")
        got = await r.wait("and is heard", self.alice.events.find(self.alice.text(self.room, "back I am")))
        if got:
            r.that("as himself", got["sender"] == self.romeo_there, got["sender"])

    async def nothing_doubled(self):
        r = self.report
        timeline = await self.witness.timeline(self.room)
        texts = [(e["sender"], e["content"].get("body")) for e in timeline if e["type"] == "m.room.message"]
        r.that("on Matrix nothing is there twice", len(set(texts)) == len(texts), [t for t in texts if texts.count(t) > 1])
        seen = [(e["sender"], e["content"].get("body")) for e in self.alice.events.all(self.alice.text(self.room))]
        # Homeservers order what came at the same time differently in /sync and /messages, but not what one person said.
        for sender in sorted({s for s, _ in texts}):
            r.that(f"alice's client has what the homeserver has of {sender}, in order", [b for s, b in seen if s == sender] == [b for s, b in texts if s == sender])
        for person in (self.juliet, self.romeo):
            live = [m for m in person.messages.all(person.said(self.muc)) if m.xml.find("{urn:xmpp:delay}delay") is None]
            bodies = [(m["from"].resource, m["body"]) for m in live]
            r.that(f"{person.name} saw nothing twice", len(set(bodies)) == len(bodies), [b for b in bodies if bodies.count(b) > 1])
            ids = [xmpp.stanza_id(m, self.muc) for m in live]
            r.that(f"{person.name}: every message has a stanza-id of its own", all(ids) and len(set(ids)) == len(ids))
        said = {body for _, body in texts if "strong" not in body} - {self.history_body}  # styled text reads differently on each side
        heard = {m["body"] for m in self.juliet.messages.all(self.juliet.said(self.muc))}
        r.that("juliet heard all that was said", said <= heard, [body[:100] for body in said - heard])

    async def run(self):
        for part in (self.set_up, self.entering, self.texts, self.names, self.avatar_out, self.topic, self.typing, self.presence, self.refusals,
                     self.two_clients, self.leaving, self.nothing_doubled):
            try:
                await part()
            except Abandoned:
                raise
            except Exception as error:  # one part's surprise is not the end of the others
                self.report.that(part.__name__, False, f"{type(error).__name__}: {error}")


async def main(kind):
    check = Check(kind)
    try:
        await check.run()
    except Abandoned as what:
        check.report.note(f"given up: {what}")
    finally:
        await check.scene.leave()
    return check.scene.verdict()


if __name__ == "__main__":
    if sys.argv[1:] not in (["dendrite"], ["synapse"]):
        sys.exit(__doc__)
    logging.disable(logging.CRITICAL)  # what matters is in the lines printed
    sys.exit(asyncio.run(main(sys.argv[1])))
