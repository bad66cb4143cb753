"""Converse.js in a browser, and slixmpp, share a room: history, words and a picture.

converse_check.py [SCREENSHOT]; run by run.sh, see README.md. Exit status 0 only if everything worked.
"""

import asyncio
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import slixmpp

from lab import xmpp
from lab.processes import DOMAIN, PEERS, die_with_parent
from lab.report import Abandoned, Report
from lab.server import Server

ROOM = f"tea@rooms.{DOMAIN}"
CONVERSE = pathlib.Path(os.environ.get("PEERS_DIR", pathlib.Path.home() / ".cache/viaduct-peers")) / "converse"
OOB = "{jabber:x:oob}x/{jabber:x:oob}url"


def picture(width=320, height=200):
    """A PNG with a gradient, which can be told from a broken picture at a glance."""
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in (255 * x // width, 255 * y // height, 160)) for y in range(height))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)


async def browser(server, password, screenshot, file, said):
    node = subprocess.run([str(PEERS / "node.sh")], check=True, capture_output=True, text=True).stdout.strip()
    child = await asyncio.create_subprocess_exec(
        node, str(PEERS / "converse" / "converse.mjs"), str(CONVERSE), f"carol@{DOMAIN}", password, f"wss://{DOMAIN}:{server.https_port}/xmpp-websocket",
        ROOM, str(file), str(screenshot), *said, preexec_fn=die_with_parent, stdin=asyncio.subprocess.DEVNULL)
    code = await asyncio.wait_for(child.wait(), 240)
    if code:
        raise RuntimeError("see above")


async def main(screenshot=None):
    r = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="viaduct-"))
    server, alice = Server(folder), None
    try:
        passwords = {name: await server.add_account(name) for name in ("alice", "carol")}
        await r.must("the server starts", server.start())
        alice = xmpp.Person(f"alice@{DOMAIN}", passwords["alice"], server.c2s_port, server.ca_file, "slixmpp")
        await r.must("alice logs in (slixmpp)", alice.online())
        await r.must("alice makes a room", alice.plugin["xep_0045"].join_muc_wait(slixmpp.JID(ROOM), "alice", timeout=20))
        await r.must("alice accepts its configuration", alice.plugin["xep_0045"].set_room_config(slixmpp.JID(ROOM), alice.plugin["xep_0004"].make_form("submit")))
        said = ["first words", "<b>not bold</b> & so on", "third: ümläut 🫖"]
        for body in said:
            alice.send_message(slixmpp.JID(ROOM), body, mtype="groupchat")
            await alice.messages.find(lambda m, body=body: m["body"] == body)
        file = folder / "picture.png"
        file.write_bytes(picture())
        await r.must("carol uses Converse.js in a browser", browser(server, passwords["carol"], screenshot or folder / "screenshot.png", file, said), 300)
        await r.wait("alice reads what carol says", alice.messages.find(lambda m: m["body"] == "hello from the browser" and m["from"] == f"{ROOM}/carol"))
        sent = await r.must("alice is sent the picture's address", alice.messages.find(lambda m: m.xml.find(OOB) is not None))
        async with server.browse() as session, session.get(sent.xml.find(OOB).text) as answer:
            r.that("where the picture is", answer.status == 200 and await answer.read() == file.read_bytes(), answer.status)
    except Abandoned:
        pass
    finally:
        if alice is not None:
            await alice.offline()
        await r.wait("the server stops when it is told to", server.stop(), 60)
    return r.verdict(server, folder)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
