"""Two slixmpp clients use what clients of today use: rooms with their archive, the own archive, nodes of a service and of accounts, files.

Run by run.sh; see README.md. Exit status 0 only if everything worked.
"""

import asyncio
import pathlib
import secrets
import sys
import tempfile
import xml.etree.ElementTree as ET

import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from lab import xmpp
from lab.processes import DOMAIN
from lab.report import Abandoned, Record, Report, until
from lab.server import Server

PUBSUB = f"pubsub.{DOMAIN}"
ROOM = f"tea@rooms.{DOMAIN}"
OMEMO = "eu.siacs.conversations.axolotl"
EVENT = "{http://jabber.org/protocol/pubsub#event}"
PLUGINS = ("xep_0004", "xep_0060", "xep_0084", "xep_0115", "xep_0163", "xep_0222", "xep_0223", "xep_0313", "xep_0333", "xep_0334", "xep_0359", "xep_0363",
           "xep_0402", "xep_0421", "xep_0424", "xep_0425", "xep_0444")
PAGE = 20  # results of an archive that are asked for at a time


class Person(xmpp.Person):
    """A client with the plugins that this proof is about."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.asked = Record()
        self.register_handler(Callback("asked for features", MatchXPath("{jabber:client}iq/{http://jabber.org/protocol/disco#info}query"), self.asked.add))

    async def befriend(self, other):
        """Both see each other's presence."""
        for person in (self, other):
            await person.get_roster()  # from then on changes are pushed
        for a, b in ((self, other), (other, self)):
            a.send_presence_subscription(b.boundjid.bare)
        await until(lambda: all(a.client_roster[b.boundjid.bare]["subscription"] == "both" for a, b in ((self, other), (other, self))))

    def told(self, node, item=None, since=0):
        """The next notification of a node, with that item."""
        def match(m):
            items = m.xml.find(f"{EVENT}event/{EVENT}items")
            return items is not None and items.get("node") == node and (item is None or any(child.get("id") == item for child in items))
        return self.messages.find(match, since)


def payload(space, element, **attributes):
    return ET.Element(f"{{{space}}}{element}", attributes)


async def rooms(r, alice, bob):
    await r.must("alice makes a room", alice.plugin["xep_0045"].join_muc_wait(slixmpp.JID(ROOM), "alice", timeout=20))
    form = await r.must("its configuration can be asked for", alice.plugin["xep_0045"].get_room_config(slixmpp.JID(ROOM)))
    fields = form.get_fields()
    for name in ("muc#roomconfig_roomname", "muc#roomconfig_persistentroom", "muc#roomconfig_membersonly", "muc#roomconfig_whois"):
        r.that(f"the form has {name}", name in fields)
    answer = alice.plugin["xep_0004"].make_form("submit")
    answer.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/muc#roomconfig")
    answer.add_field("muc#roomconfig_roomname", value="Tea")
    answer.add_field("muc#roomconfig_persistentroom", "boolean", value="1")
    await r.must("alice configures it", alice.plugin["xep_0045"].set_room_config(slixmpp.JID(ROOM), answer))
    await r.must("bob enters", bob.plugin["xep_0045"].join_muc_wait(slixmpp.JID(ROOM), "bob", timeout=20))
    for name in ("alice", "bob"):
        r.that(f"{name} has an occupant id", xmpp.occupant_id(await bob.presences.find(lambda p, name=name: p["from"] == f"{ROOM}/{name}")) != "")
    said = []
    for n in range(2 * PAGE + 5):
        who = alice if n % 2 else bob
        said.append(f"{n} {secrets.token_hex(4)}")
        who.send_message(slixmpp.JID(ROOM), said[-1], mtype="groupchat")
        await alice.messages.find(lambda m, body=said[-1]: m["body"] == body)
    live = [xmpp.stanza_id(m, ROOM) for m in alice.messages.all(lambda m: m["type"] == "groupchat" and m["body"] in said)]
    r.that("each message has a stanza-id of the room's", all(live) and len(set(live)) == len(said))

    kept = await r.must("the room's archive is read page by page", whole(bob, jid=ROOM))
    r.that("it has each message once, in order, under the id that the room gave it",
           [(i, m["body"]) for i, m in kept if m["body"]] == list(zip(live, said)), f"{len(kept)} results")
    page = await r.must("its last page is asked for first", backwards(bob, ROOM))
    r.that("these are the last ones", sorted(page, key=live.index) == live[-5:], page)

    refused = await r.wait("who is not in a room cannot ask for its occupants' addresses", affiliations(bob))
    r.that("by forbidden", refused == "forbidden", refused)
    mark = bob.messages.mark()
    await r.must("alice takes a message back as a moderator", retract(alice, live[0]))
    await r.wait("bob is told", bob.messages.find(lambda m: m.xml.find("{urn:xmpp:message-retract:1}retract") is not None, mark))
    kept = await r.must("the archive is read again", whole(bob, jid=ROOM))
    r.that("and holds a tombstone in its place", kept[0][0] == live[0] and not kept[0][1]["body"] and
           kept[0][1].xml.find("{urn:xmpp:message-retract:1}retracted") is not None, str(kept[0][1]))


async def affiliations(person):
    try:
        await person.plugin["xep_0045"].get_affiliation_list(slixmpp.JID(ROOM), "outcast")
    except slixmpp.exceptions.IqError as error:
        return error.condition
    return "no error"


async def retract(person, message):
    iq = person.make_iq_set(ito=slixmpp.JID(ROOM))
    moderate = payload("urn:xmpp:message-moderate:1", "moderate", id=message)
    moderate.append(payload("urn:xmpp:message-retract:1", "retract"))
    iq.append(moderate)
    return await iq.send()


async def whole(person, jid=None, **query):
    """All that an archive has, as (id, message)."""
    out = []
    async for result in person.plugin["xep_0313"].iterate(jid=slixmpp.JID(jid) if jid else None, rsm={"max": PAGE}, **query):
        out.append((result["mam_result"]["id"], result["mam_result"]["forwarded"]["stanza"]))
    return out


async def backwards(person, jid):
    """The ids of the last five, newest first; the library asks from the end (XEP-0059 §2.5)."""
    out = []
    async for result in person.plugin["xep_0313"].iterate(jid=slixmpp.JID(jid), reverse=True, rsm={"max": 5}, total=5):
        out.append(result["mam_result"]["id"])
    return out


async def archive(r, alice, bob):
    said = [f"{n} {secrets.token_hex(4)}" for n in range(PAGE + 3)]
    for n, body in enumerate(said):
        a, b = (alice, bob) if n % 2 else (bob, alice)
        a.send_message(b.boundjid.bare, body, mtype="chat")
        await b.messages.find(lambda m, body=body: m["body"] == body)
    for person, other in ((alice, bob), (bob, alice)):
        kept = await r.must(f"{person.name}'s archive is read", whole(person, with_jid=slixmpp.JID(other.boundjid.bare)))
        r.that("it has each message once, in order", [m["body"] for _, m in kept] == said, [m["body"] for _, m in kept])
        r.that("live messages carried the same ids", all(xmpp.stanza_id(m, person.boundjid.bare) in dict(kept) for m in person.messages.all(lambda m: m["body"] in said)))
    try:
        await alice.plugin["xep_0313"].retrieve(jid=slixmpp.JID(bob.boundjid.bare))
        r.that("nobody reads another's archive", False)
    except slixmpp.exceptions.IqError as error:
        r.that("nobody reads another's archive", error.condition in ("forbidden", "service-unavailable", "not-allowed"), error.condition)


async def service(r, alice, bob):
    node, ps = f"news-{secrets.token_hex(3)}", alice.plugin["xep_0060"]
    await r.must("alice makes a node of the service", ps.create_node(PUBSUB, node))
    config = await r.must("its configuration can be asked for", ps.get_node_config(PUBSUB, node))
    r.that("as a form", "pubsub#access_model" in config["pubsub_owner"]["configure"]["form"].get_fields())
    await r.must("bob subscribes", bob.plugin["xep_0060"].subscribe(PUBSUB, node))
    mark = bob.messages.mark()
    await r.must("alice publishes", ps.publish(PUBSUB, node, id="one", payload=payload("http://www.w3.org/2005/Atom", "entry")))
    await r.wait("bob is told", bob.told(node, "one", mark))
    await r.must("alice publishes again", ps.publish(PUBSUB, node, id="two", payload=payload("http://www.w3.org/2005/Atom", "entry")))
    got = await r.must("bob asks for the items", bob.plugin["xep_0060"].get_items(PUBSUB, node))
    r.that("and gets both", {i["id"] for i in got["pubsub"]["items"]} == {"one", "two"}, str(got))
    try:
        await bob.plugin["xep_0060"].publish(PUBSUB, node, payload=payload("http://www.w3.org/2005/Atom", "entry"))
        r.that("bob may not publish", False)
    except slixmpp.exceptions.IqError as error:
        r.that("bob may not publish", error.condition == "forbidden", error.condition)
    mark = bob.messages.mark()
    await r.must("alice retracts one", ps.retract(PUBSUB, node, "one", notify=True))
    await r.wait("bob is told", bob.told(node, "one", mark))
    await r.must("alice deletes the node", ps.delete_node(PUBSUB, node))


async def pep(r, alice, bob):
    for person in (alice, bob):
        person.plugin["xep_0163"].add_interest(f"{OMEMO}.devicelist")
        await person.plugin["xep_0115"].update_caps()
    await r.must("alice and bob are friends", alice.befriend(bob))
    open_to_all = alice.plugin["xep_0004"].make_form("submit")
    open_to_all.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/pubsub#publish-options")
    open_to_all.add_field("pubsub#access_model", value="open")
    keys = {}
    for me, other in ((alice, bob), (bob, alice)):
        device, key = str(secrets.randbelow(2**31)), secrets.token_hex(16)
        keys[me.name] = (device, key)
        bundle = payload(OMEMO, "bundle")
        ET.SubElement(bundle, f"{{{OMEMO}}}identityKey").text = key
        await r.must(f"{me.name} publishes a bundle of keys", me.plugin["xep_0060"].publish(None, f"{OMEMO}.bundles:{device}", id="current", payload=bundle, options=open_to_all))
        devices = payload(OMEMO, "list")
        ET.SubElement(devices, f"{{{OMEMO}}}device", id=device)
        mark = other.messages.mark()
        await r.must(f"{me.name} publishes a list of devices", me.plugin["xep_0060"].publish(None, f"{OMEMO}.devicelist", id="current", payload=devices, options=open_to_all))
        event = await r.wait(f"{other.name}'s client is told of it unasked", other.told(f"{OMEMO}.devicelist", since=mark))
        if event is not None:
            told = [d.get("id") for d in event.xml.iter(f"{{{OMEMO}}}device")]
            r.that("with the device", told == [device], told)
    for me, other in ((alice, bob), (bob, alice)):
        device, key = keys[other.name]
        got = await r.must(f"{me.name} fetches {other.name}'s bundle", me.plugin["xep_0060"].get_items(other.boundjid.bare, f"{OMEMO}.bundles:{device}"))
        r.that("with the key", [k.text for k in got.xml.iter(f"{{{OMEMO}}}identityKey")] == [key])
    face = secrets.token_bytes(3000)
    mark = bob.messages.mark()
    bob.plugin["xep_0163"].add_interest("urn:xmpp:avatar:metadata")
    await bob.plugin["xep_0115"].update_caps()
    await r.must("alice publishes a face", alice.plugin["xep_0084"].publish_avatar(face))
    sha1 = alice.plugin["xep_0084"].generate_id(face)
    await r.must("and what it is", alice.plugin["xep_0084"].publish_avatar_metadata([{"id": sha1, "bytes": len(face), "type": "image/png"}]))
    await r.wait("bob is told", bob.told("urn:xmpp:avatar:metadata", sha1, mark))
    got = await r.must("bob fetches it", bob.plugin["xep_0084"].retrieve_avatar(slixmpp.JID(alice.boundjid.bare), sha1))
    r.that("and it is hers", got["pubsub"]["items"]["item"]["avatar_data"]["value"] == face)


async def bookmarks(r, server, alice, password):
    other = Person(alice.boundjid.bare, password, server.c2s_port, server.ca_file, "second")
    other.plugin["xep_0163"].add_interest("urn:xmpp:bookmarks:1")
    await r.must("alice's second client logs in", other.online())
    await other.plugin["xep_0115"].update_caps()
    await r.must("it is asked what it wants to be told of", other.asked.find(lambda iq: iq["type"] == "get"))
    await other.plugin["xep_0199"].ping(DOMAIN)  # behind its answer
    await r.must("it is asked what it wants to be told of", other.asked.find(lambda iq: iq["type"] == "get"))
    await other.plugin["xep_0199"].ping(DOMAIN)  # behind its answer
    conference = payload("urn:xmpp:bookmarks:1", "conference", name="Tea", autojoin="true")
    private = alice.plugin["xep_0004"].make_form("submit")
    private.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/pubsub#publish-options")
    for name, value in (("persist_items", "true"), ("max_items", "max"), ("send_last_published_item", "never"), ("access_model", "whitelist")):
        private.add_field(f"pubsub#{name}", value=value)
    mark = other.messages.mark()
    await r.must("alice bookmarks the room", alice.plugin["xep_0060"].publish(None, "urn:xmpp:bookmarks:1", id=ROOM, payload=conference, options=private))
    await r.wait("her second client is told", other.told("urn:xmpp:bookmarks:1", ROOM, mark))
    await other.offline()


async def files(r, server, alice):
    body = secrets.token_bytes(200_000)
    found = await alice.plugin["xep_0363"].find_upload_service(domain=slixmpp.JID(DOMAIN))
    if not r.that("alice finds the upload service", found is not None):
        return
    at = found["from"]
    slot = await r.must("she asks for a slot", alice.plugin["xep_0363"].request_slot(at, "pi cture.png", len(body), "image/png"))
    slot = slot["http_upload_slot"]
    async with server.browse() as session:
        headers = {h["name"]: h["value"] for h in slot["put"]["headers"]}
        async with session.put(slot["put"]["url"], data=body, headers={**headers, "Content-Type": "image/png"}) as answer:
            r.that("she puts the file", answer.status == 201, f"{answer.status} {await answer.text()}")
        async with session.get(slot["get"]["url"]) as answer:
            r.that("anybody gets it", answer.status == 200 and await answer.read() == body, answer.status)
            r.that("as what it is, and as nothing else", answer.headers["Content-Type"] == "image/png" and answer.headers["X-Content-Type-Options"] == "nosniff", dict(answer.headers))
            r.that("a page of any origin may show it", answer.headers.get("Access-Control-Allow-Origin") == "*", dict(answer.headers))
        async with session.get(slot["get"]["url"], headers={"Range": "bytes=100-199"}) as answer:
            r.that("or a part of it", answer.status == 206 and await answer.read() == body[100:200], answer.status)
        async with session.put(slot["put"]["url"], data=body, headers={**headers, "Content-Type": "image/png"}) as answer:
            r.that("a slot is for one file", answer.status in (403, 409), answer.status)
        async with session.put(slot["put"]["url"].replace("/upload/", "/upload/x"), data=body, headers=headers) as answer:
            r.that("nobody puts a file without one", answer.status in (403, 404), answer.status)
    try:
        await alice.plugin["xep_0363"].request_slot(at, "huge", 1 << 40, "image/png")
        r.that("a file that is too large gets no slot", False)
    except slixmpp.exceptions.IqError as error:
        r.that("a file that is too large gets no slot", error.condition == "not-acceptable", error.condition)


async def main():
    r = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="viaduct-"))
    server = Server(folder)
    people = []
    try:
        passwords = {name: await server.add_account(name) for name in ("alice", "bob")}
        await r.must("the server starts", server.start())
        for name, password in passwords.items():
            people.append(Person(f"{name}@{DOMAIN}", password, server.c2s_port, server.ca_file, "first"))
            await r.must(f"{name} logs in", people[-1].online())
        alice, bob = people
        await r.each(rooms(r, alice, bob), archive(r, alice, bob), service(r, alice, bob), pep(r, alice, bob),
                     bookmarks(r, server, alice, passwords["alice"]), files(r, server, alice))
    except Abandoned:
        pass
    finally:
        for person in people:
            await person.offline()
        await r.wait("the server stops when it is told to", server.stop(), 60)
    return r.verdict(server, folder)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
