"""slixmpp clients use what a client keeps on its server (private data, bookmarks with their settings, preferences of the archive, what was displayed), what
rooms tell beside messages (self-ping, hats, versions of lists, activity), and ad-hoc commands. Every one of these is a plugin of the library.

Run by run.sh; see README.md. Exit status 0 only if everything worked.
"""

import asyncio
import pathlib
import secrets
import sys
import tempfile

import slixmpp
from slixmpp.plugins.xep_0410 import PingStatus

from lab import xmpp
from lab.processes import DOMAIN
from lab.report import Abandoned, Report
from lab.server import Server

ROOM = slixmpp.JID(f"garden@rooms.{DOMAIN}")
MUC_USER = "{http://jabber.org/protocol/muc#user}"
MAV = "{urn:xmpp:muc:affiliations:1}mav"
BOOKMARKS = "urn:xmpp:bookmarks:1"
NOTIFY = "{urn:xmpp:notification-settings:0}"
PLUGINS = ("xep_0004", "xep_0048", "xep_0049", "xep_0050", "xep_0060", "xep_0115", "xep_0128", "xep_0163", "xep_0223", "xep_0313", "xep_0317", "xep_0402", "xep_0410",
           "xep_0441", "xep_0463", "xep_0469", "xep_0490", "xep_0492", "xep_0502")


class Person(xmpp.Person):
    """A client with the plugins that this proof is about."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for plugin in PLUGINS:
            self.register_plugin(plugin)

    async def interested(self, *nodes):
        """Says in its capabilities what it wants to be told of; returns once the server knows."""
        for node in nodes:
            self.plugin["xep_0163"].add_interest(node)
        await self.plugin["xep_0115"].update_caps()

    def told(self, node, item, since=0):
        event = "{http://jabber.org/protocol/pubsub#event}"

        def match(m):
            items = m.xml.find(f"{event}event/{event}items")
            return items is not None and items.get("node") == node and any(child.get("id") == item for child in items)
        return self.messages.find(match, since)


async def condition_of(awaitable):
    """The condition of the error that a request ends with."""
    try:
        await awaitable
    except slixmpp.exceptions.IqError as error:
        return error.condition
    return "no error"


async def kept(r, alice, second):
    """Private data and bookmarks, old and new."""
    old = alice.plugin["xep_0048"].stanza.Bookmarks()
    old.add_conference(ROOM, "gardener", autojoin=True, name="The garden")
    mark = second.messages.mark()
    await r.must("alice keeps bookmarks the old way (0048 in 0049)", alice.plugin["xep_0048"].set_bookmarks(old, method="xep_0049"))
    got = await r.must("and reads them again", alice.plugin["xep_0048"].get_bookmarks(method="xep_0049"))
    r.that("as they were", [(c["jid"], c["nick"]) for c in got["private"]["bookmarks"]["conferences"]] == [(ROOM, "gardener")], str(got))
    await r.wait("her second client is told the new way (0402)", second.told(BOOKMARKS, ROOM.bare, mark))
    got = await r.must("and finds the room", second.plugin["xep_0060"].get_items(second.boundjid.bare, BOOKMARKS))
    r.that("with its nick", [(i["id"], i["conference"]["nick"]) for i in got["pubsub"]["items"]] == [(ROOM.bare, "gardener")], str(got))

    item = second.plugin["xep_0402"].stanza.Conference()
    item["name"], item["nick"], item["autojoin"] = "Garden", "gardener", True
    item["extensions"]["notify"].configure("on-mention")
    item["extensions"]["notify"].configure("never", client_type="phone")
    item["extensions"].enable("pinned")
    options = second.plugin["xep_0004"].make_form("submit")
    options.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/pubsub#publish-options")
    for name, value in (("persist_items", "true"), ("max_items", "max"), ("send_last_published_item", "never"), ("access_model", "whitelist")):
        options.add_field(f"pubsub#{name}", value=value)
    mark = alice.messages.mark()
    await r.must("it sets how the room may ring (0492), and pins it (0469)", second.plugin["xep_0060"].publish(None, BOOKMARKS, id=ROOM.bare, payload=item.xml, options=options))
    event = await r.wait("alice's first client is told", alice.told(BOOKMARKS, ROOM.bare, mark))
    if event is not None:
        rings = [child.tag.removeprefix(NOTIFY) for child in event.xml.iter() if child.tag in (NOTIFY + "on-mention", NOTIFY + "never")]
        r.that("with both settings and the pin", sorted(rings) == ["never", "on-mention"] and any(e.tag == "{urn:xmpp:bookmarks-pinning:0}pinned" for e in event.xml.iter()), str(event))
    got = await r.must("the old way shows the change", alice.plugin["xep_0048"].get_bookmarks(method="xep_0049"))
    r.that("of the name", [c["name"] for c in got["private"]["bookmarks"]["conferences"]] == ["Garden"], str(got))


async def preferences(r, alice, bob):
    plugin = alice.plugin["xep_0441"]
    await r.must("alice sets what her archive keeps (0441)", plugin.set_preferences("roster", always=[slixmpp.JID(bob.boundjid.bare)], never=[slixmpp.JID("spam@elsewhere.test")]))
    default, always, never = await r.must("and reads it", plugin.get_preferences())
    r.that("as she set it", (default, always, never) == ("roster", {slixmpp.JID(bob.boundjid.bare)}, {slixmpp.JID("spam@elsewhere.test")}), (default, always, never))


async def displayed(r, alice, second, bob):
    mark = second.messages.mark()
    body = secrets.token_hex(4)
    bob.send_message(alice.boundjid.bare, body, mtype="chat")
    got = await r.must("alice hears bob", alice.messages.find(lambda m: m["body"] == body))
    sid = xmpp.stanza_id(got, alice.boundjid.bare)
    await r.must("she has seen it, and says so to her own clients (0490)", alice.plugin["xep_0490"].flag_chat(bob.boundjid.bare, sid))
    await r.wait("her second client is told", second.told("urn:xmpp:mds:displayed:0", bob.boundjid.bare, mark))
    got = await r.must("a client that comes later catches up", second.plugin["xep_0490"].catch_up())
    ids = {i["id"]: i["displayed"]["stanza_id"]["id"] for i in got["pubsub"]["items"]}
    r.that("with the same message", ids.get(bob.boundjid.bare) == sid, ids)
    refused = await r.wait("bob cannot see that", condition_of(bob.plugin["xep_0060"].get_items(alice.boundjid.bare, "urn:xmpp:mds:displayed:0")))
    r.that("by an error that tells him so", refused in ("forbidden", "not-authorized", "item-not-found", "not-allowed", "service-unavailable"), refused)


async def fill(command, node, **values):
    """Asks for a command's form, fills it in, and returns the answer."""
    plugin, at = command
    first = await plugin.send_command(at, node)
    form = plugin.xmpp.plugin["xep_0004"].make_form("submit")
    offered = {f["var"] for f in first["command"]["form"].iterables if f.name == "field"}
    for name, value in first["command"]["form"].get_values().items():
        if name == "FORM_TYPE":
            form.add_field("FORM_TYPE", "hidden", value=value)
    for name, value in values.items():
        var = next(v for v in offered if v.replace("hats#", "").replace("--", "") == name)
        form.add_field(var, value=value)
    return await plugin.send_command(at, node, action="complete", payload=form, sessionid=first["command"]["sessionid"])


async def rooms(r, alice, bob):
    await r.must("alice makes a room", alice.plugin["xep_0045"].join_muc_wait(ROOM, "alice", timeout=20))
    answer = alice.plugin["xep_0004"].make_form("submit")
    answer.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/muc#roomconfig")
    answer.add_field("muc#roomconfig_persistentroom", "boolean", value="1")
    await r.must("and configures it", alice.plugin["xep_0045"].set_room_config(ROOM, answer))
    await r.must("bob enters", bob.plugin["xep_0045"].join_muc_wait(ROOM, "bob", timeout=20))
    ping = bob.plugin["xep_0410"]
    here = slixmpp.JID(f"{ROOM}/bob")
    r.that("bob asks himself whether he is there: he is (0410)", await ping.send_self_ping(here) == PingStatus.JOINED)
    active = await r.must("the room tells when somebody last spoke (0502)", spoken(alice, bob))
    r.that("as a time", bool(active), active)

    mark = bob.presences.mark()
    commands = (alice.plugin["xep_0050"], ROOM)
    got = await r.must("the room has commands for hats (0317, 0050)", alice.plugin["xep_0050"].get_commands(ROOM))
    nodes = [i[1] for i in got["disco_items"]["items"]]
    r.that("among them to make one and to give it", {"urn:xmpp:hats:commands:create", "urn:xmpp:hats:commands:assign"} <= set(nodes), nodes)
    await r.must("alice makes a hat", fill(commands, "urn:xmpp:hats:commands:create", uri="urn:garden:host", title="Host", hue="120"))
    await r.must("and gives it to bob", fill(commands, "urn:xmpp:hats:commands:assign", jid=bob.boundjid.bare, uri="urn:garden:host"))
    worn = await r.wait("bob wears it in his presence", bob.presences.find(lambda p: p["from"] == here and any(h["title"] == "Host" for h in p["hats"]), mark))
    if worn is not None:
        r.that("under its uri and colour", [(h["uri"], h["hue"]) for h in worn["hats"]] == [("urn:garden:host", 120.0)], str(worn))

    mark = alice.messages.mark()
    await r.must("alice makes bob a member", alice.plugin["xep_0045"].set_affiliation(ROOM, "member", jid=slixmpp.JID(bob.boundjid.bare)))
    bob.plugin["xep_0045"].leave_muc(ROOM, "bob")
    await r.wait("bob leaves", alice.presences.find(lambda p: p["from"] == here and p["type"] == "unavailable"))
    r.that("he asks again: he is not there (0410)", await ping.send_self_ping(here) == PingStatus.DISCONNECTED)
    await affiliations(r, alice, bob)


async def affiliations(r, alice, bob):
    """Who may see the lists is told what she does not know of them, and the version (0463)."""
    async def enters(since):
        mark = alice.presences.mark()
        alice.send_presence(pto=me, ptype="unavailable")  # the plugin does not know of joins that it did not make itself
        await alice.presences.find(lambda p: p["from"] == me and p["type"] == "unavailable", mark)
        join = alice.plugin["xep_0045"].make_join_stanza(ROOM, "alice")
        mav = join["muc_join"]["mav"]
        if since:
            mav["since"] = since
        presences, messages = alice.presences.mark(), alice.messages.mark()
        alice.send(join)
        own = await alice.presences.find(lambda p: p["from"] == me and any(s.get("code") == "110" for s in p.xml.iter(MUC_USER + "status")), presences)
        lists = alice.messages.all(lambda m: m.xml.find(f"{MUC_USER}x/{MAV}") is not None, messages)
        return own.xml.find(f"{MUC_USER}x/{MAV}").get("until"), [(i.get("jid"), i.get("affiliation")) for m in lists for i in m.xml.iter(MUC_USER + "item")], len(lists)

    me = slixmpp.JID(f"{ROOM}/alice")
    version, items, _ = await r.must("alice enters again and knows no version of the lists (0463)", enters(""))
    r.that("she is told the lists", sorted(items) == [(alice.boundjid.bare, "owner"), (bob.boundjid.bare, "member")] and version, items)
    same, items, count = await r.must("and again, with that version", enters(version))
    r.that("she is told nothing new", (same, items, count) == (version, [], 0), (same, version, items))
    await r.must("bob becomes an admin", alice.plugin["xep_0045"].set_affiliation(ROOM, "admin", jid=slixmpp.JID(bob.boundjid.bare)))
    later, items, _ = await r.must("she enters with the old version", enters(version))
    r.that("and is told the change", later != version and items == [(bob.boundjid.bare, "admin")], items)


async def spoken(alice, bob):
    body = secrets.token_hex(4)
    alice.send_message(ROOM, body, mtype="groupchat")
    await bob.messages.find(lambda m: m["body"] == body)
    return await bob.plugin["xep_0502"].get_activity(ROOM)


async def commands(r, admin, bob):
    got = await r.must("the administrator finds the server's commands (0050)", admin.plugin["xep_0050"].get_commands(slixmpp.JID(DOMAIN)))
    nodes = [i[1] for i in got["disco_items"]["items"]]
    r.that("all of them", len(nodes) > 20 and "viaduct:user-list" in nodes, nodes)
    got = await r.must("he lists the accounts", fill((admin.plugin["xep_0050"], DOMAIN), "viaduct:user-list"))
    people = [v for item in got["command"]["form"].get_items() for v in item.values()]
    r.that("and bob is among them", bob.boundjid.bare in people, str(got))
    got = await r.must("he makes an account", fill((admin.plugin["xep_0050"], DOMAIN), "viaduct:user-add", JID=f"carol@{DOMAIN}"))
    r.that("and is told its password", "password" in str(got).lower(), str(got))
    got = await r.must("he makes it again", fill((admin.plugin["xep_0050"], DOMAIN), "viaduct:user-add", JID=f"carol@{DOMAIN}"))
    r.that("and is told that it is there already", "exists" in str(got) or "already" in str(got), str(got))
    refused = await r.wait("bob gives a command", condition_of(bob.plugin["xep_0050"].send_command(DOMAIN, "viaduct:user-list")))
    r.that("and is forbidden to", refused == "forbidden", refused)


async def main():
    r = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="viaduct-"))
    server = Server(folder)
    people = {}
    try:
        passwords = {name: await server.add_account(name, *(["--admin"] if name == "admin" else [])) for name in ("alice", "bob", "admin")}
        await r.must("the server starts", server.start())
        for name, account in (("alice", "alice"), ("second", "alice"), ("bob", "bob"), ("admin", "admin")):
            people[name] = Person(f"{account}@{DOMAIN}", passwords[account], server.c2s_port, server.ca_file, name)
            await r.must(f"{name} logs in", people[name].online())
        alice, second, bob = people["alice"], people["second"], people["bob"]
        for person in (alice, second):
            await person.interested(BOOKMARKS, "urn:xmpp:mds:displayed:0")
            await person.plugin["xep_0199"].ping(DOMAIN)
        await r.each(kept(r, alice, second), preferences(r, alice, bob), displayed(r, alice, second, bob), rooms(r, alice, bob), commands(r, people["admin"], bob))
    except Abandoned:
        pass
    finally:
        for person in people.values():
            await person.offline()
        await r.wait("the server stops when it is told to", server.stop(), 60)
    return r.verdict(server, folder)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
