"""Two aioxmpp clients (a second library, by others than slixmpp's) use rooms, nodes, faces and files.

Run by run.sh; see README.md. Exit status 0 only if everything worked.
"""

import asyncio
import pathlib
import secrets
import sys
import tempfile

import aioxmpp
import aioxmpp.avatar
import aioxmpp.disco
import aioxmpp.entitycaps
import aioxmpp.httpupload
import aioxmpp.muc
import aioxmpp.pubsub
import aioxmpp.pubsub.xso
import aioxmpp.xso

from lab.processes import DOMAIN
from lab.report import Abandoned, Record, Report
from lab.server import Server

PUBSUB = aioxmpp.JID.fromstr(f"pubsub.{DOMAIN}")
ROOM = aioxmpp.JID.fromstr(f"coffee@rooms.{DOMAIN}")


@aioxmpp.pubsub.xso.as_payload_class
class Weather(aioxmpp.xso.XSO):
    """Something to publish."""

    TAG = ("urn:example:weather", "weather")
    sky = aioxmpp.xso.Attr("sky")


def connect(name, password, server):
    """A client that trusts the server's own authority and nothing else."""
    def trust():
        context = aioxmpp.security_layer.default_ssl_context()
        context.load_verify_locations(str(server.ca_file))
        return context

    security = aioxmpp.make_security_layer(password)._replace(ssl_context_factory=trust, certificate_verifier_factory=aioxmpp.security_layer.PKIXCertificateVerifier)
    to = ("127.0.0.1", server.c2s_port, aioxmpp.connector.STARTTLSConnector())
    return aioxmpp.PresenceManagedClient(aioxmpp.JID.fromstr(f"{name}@{DOMAIN}"), security, override_peer=[to], logger=None)


async def rooms(r, alice, bob):
    seen, topics = Record(), Record()
    room, entered = alice.summon(aioxmpp.MUCClient).join(ROOM, "alice")
    await r.must("alice makes a room", entered)
    config = await r.must("its configuration can be asked for", alice.summon(aioxmpp.MUCClient).get_room_config(ROOM))
    form = aioxmpp.muc.ConfigurationForm.from_xso(config)
    form.roomname.value = "Coffee"
    await r.must("alice configures it", alice.summon(aioxmpp.MUCClient).set_room_config(ROOM, form.render_reply()))
    other, entered = bob.summon(aioxmpp.MUCClient).join(ROOM, "bob")
    other.on_message.connect(lambda message, member, source, **_: seen.add((member.nick, message.body.any())) and None)
    other.on_topic_changed.connect(lambda member, topic, **_: topics.add(topic.any()) and None)
    await r.must("bob enters", entered)
    r.that("he sees her", "alice" in {m.nick for m in other.members}, other.members)
    message = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT)
    message.body[None] = "hello"
    room.send_message(message)
    await r.wait("bob reads what alice says", seen.find(lambda m: m == ("alice", "hello")))
    await r.must("alice sets the topic", asyncio.ensure_future(room.set_topic({None: "beans"})))
    await r.wait("bob sees it", topics.find(lambda t: t == "beans"))
    await r.must("bob changes his nick", other.set_nick("robert"))
    await r.must("bob leaves", other.leave())


async def service(r, alice, bob):
    node = f"weather-{secrets.token_hex(3)}"
    mine, his = alice.summon(aioxmpp.PubSubClient), bob.summon(aioxmpp.PubSubClient)
    await r.must("alice makes a node", mine.create(PUBSUB, node))
    told = Record()
    his.on_item_published.connect(lambda jid, node_, item, **_: told.add((jid, node_, item.id_)) and None)
    await r.must("bob subscribes", his.subscribe(PUBSUB, node, subscription_jid=bob.local_jid.bare()))
    body = Weather()
    body.sky = "grey"
    ident = await r.must("alice publishes", mine.publish(PUBSUB, node, body))
    await r.wait("bob is told", told.find(lambda t: t[1] == node and t[2] == ident))
    got = await r.must("bob asks for the items", his.get_items(PUBSUB, node))
    r.that("and gets it", [i.id_ for i in got.payload.items] == [ident])
    nodes = await r.must("the nodes can be listed", his.get_nodes(PUBSUB))
    r.that("and it is among them", node in [n for n, _ in nodes], nodes)
    await r.must("alice deletes it", mine.delete(PUBSUB, node))


async def face(r, alice, bob):
    picture = secrets.token_bytes(2000)
    metadata = aioxmpp.avatar.AvatarSet()
    metadata.add_avatar_image("image/png", image_bytes=picture)
    await r.must("alice publishes a face", alice.summon(aioxmpp.AvatarService).publish_avatar_set(metadata))
    friends = asyncio.get_running_loop().create_future()
    his = bob.summon(aioxmpp.RosterClient)
    his.on_entry_subscription_state_changed.connect(lambda entry, **_: friends.set_result(None) if entry.subscription in ("to", "both") and not friends.done() else None)
    alice.summon(aioxmpp.RosterClient).approve(bob.local_jid.bare())  # ahead of his question
    his.subscribe(alice.local_jid.bare())
    asked = alice.summon(aioxmpp.RosterClient)
    asked.on_subscribe.connect(lambda stanza: asked.approve(stanza.from_.bare()))
    await r.must("alice lets bob see her", friends)
    found = await r.must("bob finds it", bob.summon(aioxmpp.AvatarService).get_avatar_metadata(alice.local_jid.bare()))
    got = await r.must("and fetches it", found[0].get_image_bytes())
    r.that("and it is hers", got == picture)


async def files(r, server, alice):
    found = await alice.summon(aioxmpp.DiscoClient).query_items(aioxmpp.JID.fromstr(DOMAIN))
    at = None
    for item in found.items:
        info = await alice.summon(aioxmpp.DiscoClient).query_info(item.jid)
        if "urn:xmpp:http:upload:0" in info.features:
            at = item.jid
    if not r.that("alice finds the upload service", at is not None):
        return
    body = secrets.token_bytes(50_000)
    slot = await r.must("she asks for a slot", alice.send(aioxmpp.IQ(type_=aioxmpp.IQType.GET, to=at, payload=aioxmpp.httpupload.Request("a.bin", len(body), "application/octet-stream"))))
    async with server.browse() as session:
        async with session.put(slot.put.url, data=body, headers={**dict(slot.put.headers), "Content-Type": "application/octet-stream"}) as answer:
            r.that("she puts the file", answer.status == 201, f"{answer.status} {await answer.text()}")
        async with session.get(slot.get.url) as answer:
            r.that("and it can be had", answer.status == 200 and await answer.read() == body, answer.status)
            r.that("as a file, not a page", answer.headers.get("Content-Disposition", "").startswith("attachment"), dict(answer.headers))


async def main():
    r = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="viaduct-"))
    server = Server(folder)
    try:
        clients = [connect(name, await server.add_account(name), server) for name in ("alice", "bob")]
        await r.must("the server starts", server.start())
        for c in clients:
            for service_ in (aioxmpp.MUCClient, aioxmpp.PubSubClient, aioxmpp.AvatarService, aioxmpp.DiscoClient, aioxmpp.EntityCapsService, aioxmpp.RosterClient):
                c.summon(service_)
        async with clients[0].connected(), clients[1].connected():
            r.that("alice and bob log in (aioxmpp)", all(c.running for c in clients))
            await r.each(rooms(r, *clients), service(r, *clients), face(r, *clients), files(r, server, clients[0]))
    except Abandoned:
        pass
    finally:
        await r.wait("the server stops when it is told to", server.stop(), 60)
    return r.verdict(server, folder)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
