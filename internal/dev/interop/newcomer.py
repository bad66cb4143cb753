"""The first minute of somebody who has just cloned the repository: her client logs in to `make run` and joins the demo network's room.

    newcomer.py CLONE

CLONE is built; the server is started in it on its defaults. See newcomer.sh.
"""

import asyncio
import logging
import pathlib
import sys

from lab import xmpp
from lab.processes import die_with_parent
from lab.report import Abandoned, Report

LOBBY = "lobby@rooms.demo.localhost"
MINUTE = 60
REPLY = "{urn:xmpp:reply:0}reply"
REPLACE = "{urn:xmpp:message-correct:0}replace"


class Newcomer:
    def __init__(self, clone):
        self.clone, self.report = pathlib.Path(clone), Report()
        self.client = None

    async def serve(self):
        """Starts the server and reads what it prints on its first start: account and password."""
        with open(self.clone / "server.log", "wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                "bin/viaduct", "serve", cwd=self.clone, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
                preexec_fn=die_with_parent)
        printed = []
        while line := await self.process.stdout.readline():
            printed.append(line.decode().strip())
            if printed[-1].startswith("Stop:"):
                at = printed.index("admin@localhost")
                return printed[at], printed[at + 1]
        raise RuntimeError((self.clone / "server.log").read_text())

    def from_others(self, more=lambda m: True):
        """A condition for live messages of people of the demo network."""
        def match(m):
            live = m.xml.find("{urn:xmpp:delay}delay") is None
            return live and self.client.said(LOBBY)(m) and m["from"].resource != self.client.rooms[LOBBY] and more(m)
        return match

    async def run(self):
        r = self.report
        account, password = await r.must("`viaduct serve` starts on its defaults and prints an administrator's password", self.serve())
        self.client = client = xmpp.Person(account, password, 5222, self.clone / "viaduct-data/tls/ca.crt")
        await r.must(f"slixmpp logs in as {account}, trusting the server's own CA", client.online())
        await r.must(f"it enters {LOBBY}", client.enter(LOBBY, "Newcomer"))
        r.that("people are there", len(client.present[LOBBY]) > 3, list(client.present[LOBBY]))
        await r.wait("they talk by themselves", client.messages.find(self.from_others()), MINUTE)
        await self.answered()
        await self.edited()

    async def answered(self):
        r, client, mark = self.report, self.client, self.client.messages.mark()
        origin = client.say(LOBBY, "Hello, is anybody here?")
        own = await r.wait("the newcomer says something and sees it in the room", client.messages.find(lambda m: xmpp.origin_id(m) == origin, mark))
        if not own:
            return
        ids = {own["id"], xmpp.stanza_id(own, LOBBY)}
        await r.wait("somebody answers just that (XEP-0461)", client.messages.find(self.from_others(
            lambda m: any(x.get("id") in ids for x in m.xml.iter(REPLY))), mark), MINUTE)

    async def edited(self):
        r, client, mark = self.report, self.client, self.client.messages.mark()
        client.say(LOBBY, "!edit much better")
        wrong = await r.wait("!edit: somebody writes something wrong", client.messages.find(self.from_others(lambda m: "mistkae" in m["body"]), mark), MINUTE)
        right = await r.wait("and corrects it (XEP-0308)", client.messages.find(self.from_others(
            lambda m: m["body"] == "much better" and m.xml.find(REPLACE) is not None), mark), MINUTE)
        if wrong and right:
            r.that("it is a correction of that very message, by the same person", right.xml.find(REPLACE).get("id") in (wrong["id"], xmpp.stanza_id(wrong, LOBBY))
                   and right["from"] == wrong["from"], right)

    async def leave(self):
        if self.client:
            await asyncio.wait_for(self.client.offline(), 10)
        if self.process.returncode is None:
            self.process.terminate()
            await self.report.wait("the server stops when it is told to", self.process.wait(), 40)


async def main(clone):
    newcomer = Newcomer(clone)
    try:
        await newcomer.run()
    except Abandoned as what:
        newcomer.report.note(f"given up: {what}")
    finally:
        await newcomer.leave()
    return 1 if newcomer.report.failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    logging.disable(logging.CRITICAL)
    sys.exit(asyncio.run(main(sys.argv[1])))
