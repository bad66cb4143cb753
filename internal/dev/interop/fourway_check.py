"""One room on four platforms: XMPP (slixmpp), Matrix (matrix-nio on a real homeserver), Slack (its own library on a Slack API server) and Discord
(discordgo on the fake one). Each thing that people do is done once on each side and must be seen once on each of the others.

    fourway_check.py dendrite|synapse

Run by run.sh; see README.md. Exit status 0 only if everything worked.
"""

import asyncio
import json
import logging
import ssl
import sys

import aiohttp

from lab import sides
from lab.processes import DOMAIN, free_ports
from lab.report import Abandoned, Report, until
from lab.scene import RUN, Scene
from lab.server import Here

ROOM = f"ops@rooms.{DOMAIN}"
NAMES = {"XMPP": "Juliet", "Matrix": "Alice A.", "Slack": "alice", "Discord": "Dana"}  # as they show themselves


def shows(author, name):
    """A name that is shown on another side is the person's, and nothing is stacked on it."""
    return author == name or author.lower() == name.lower()


class Check:
    def __init__(self, kind, what="four", rates=""):
        self.kind, self.what, self.report = kind, what, Report()
        self.slack = sides.Slack(f"interop-{RUN}-{what}-{kind}", free_ports(1)[0], rates)
        self.discord = sides.Discord(rates)
        self.scene = None
        self.sides = []

    async def set_up(self):
        r = self.report
        await r.must("the Slack API server starts, and somebody on it", self.slack.start(), 120)
        await r.must("the fake Discord starts, and somebody on it", self.discord.start(), 180)
        self.scene = Scene(r, self.kind, self.what, None, None if self.kind == "dendrite" else "hs.test", web=True, extra=self.slack.bridge() + self.discord.bridge())
        await self.scene.enter(("juliet",))
        alice = await self.scene.matrix_person("alice")
        await alice.set_name(NAMES["Matrix"])
        there = await alice.create_room("ops", name="Ops", power_level_override={"events": {"m.room.topic": 0}})
        for bridge in ("acme", "guild"):
            await r.wait(f"`viaduct bridge test {bridge}` finds nothing wrong", until(lambda bridge=bridge: self.works(bridge), 1), 60)
        remotes = [self.slack.remote(), f"matrix:#ops:{self.scene.hs.server_name}", self.discord.remote()]
        await r.must("`viaduct link add` joins the four", self.scene.server.command("link", "add", ROOM, *remotes), 90)
        await self.scene.server.command("room", "affiliation", ROOM, f"juliet@{DOMAIN}", "owner")
        juliet = await self.scene.xmpp_person("juliet", "desk")
        juliet.register_plugin("xep_0363")
        await r.must("juliet enters the room", juliet.enter(ROOM, "Juliet"), 60)
        self.sides = [sides.XMPP(juliet, ROOM, "Juliet", self.browse), sides.Matrix(alice, there), self.slack, self.discord]

    async def works(self, bridge):
        try:
            await self.scene.server.command("bridge", "test", bridge)
            return True
        except RuntimeError as error:
            self.scene.last_test = str(error)
            return False

    def browse(self):
        trust = ssl.create_default_context(cafile=str(self.scene.server.ca_file))
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, resolver=Here()))

    def others(self, side):
        return [s for s in self.sides if s is not side]

    async def says(self, side, text):
        """One side says something; returns its id on every side."""
        r, ids = self.report, {}
        await side.act("say", text=text)
        own = await r.must(f"{side.name} says it", side.find("message", text=text))
        ids[side.name] = own["id"]
        for other in self.others(side):
            h = await r.wait(f"{other.name} hears {side.name}", other.find("message", text=text))
            if h is not None:
                ids[other.name] = h["id"]
                r.that(f"{other.name} sees it from {NAMES[side.name]}", shows(h["author"], NAMES[side.name]), h["author"])
        return ids

    async def everything(self, side):
        """All that somebody does, from one side."""
        r = self.report
        said = f"hello from {side.name}"
        ids = await self.says(side, said)
        corrected = f"goodbye from {side.name}"
        await side.act("edit", id=ids[side.name], text=corrected)
        for other in self.others(side):
            await r.wait(f"{other.name} sees {side.name} correct it", other.find("edit", text=lambda t: t is not None and t.endswith(corrected), id=ids.get(other.name)))
        await side.act("react", id=ids[side.name], emoji=side.thumb)
        for other in self.others(side):
            await r.wait(f"{other.name} sees {side.name}'s reaction", other.find("react", id=ids.get(other.name), emoji=lambda e: thumb(e)))
        if self.sees_removals(side):
            await side.act("unreact", id=ids[side.name], emoji=side.thumb)
            for other in self.others(side):
                await r.wait(f"{other.name} sees that it is gone", other.find("unreact", id=ids.get(other.name), emoji=lambda e: thumb(e)))
        for other in self.others(side):
            await self.replies(other, side, ids)
        await self.file(side)
        await self.topic(side)
        if self.sees_removals(side):
            await side.act("delete", id=ids[side.name])
            for other in self.others(side):
                await r.wait(f"{other.name} sees {side.name} take it back", self.gone(other, ids.get(other.name)))

    def sees_removals(self, side):
        """Dendrite tells an application service of no redaction, whatever the bridge does."""
        return not (side.name == "Matrix" and self.kind == "dendrite")

    async def gone(self, side, message):
        return await side.find("delete", id=message)

    async def replies(self, other, side, ids):
        text = f"{other.name} answers {side.name}"
        await other.act("reply", id=ids[other.name], text=text)
        for third in self.others(other):
            h = await self.report.wait(f"{third.name} hears {other.name}'s answer to {side.name}", third.find("message", text=lambda t: t is not None and text in t))
            if h is not None and third.name in ("XMPP", "Matrix"):
                self.report.that(f"{third.name} sees what it answers", h["reply"] == ids[third.name], h)
            elif h is not None:
                self.report.that(f"{third.name} sees what it answers", h.get("reply") == ids[third.name] or h["text"].startswith((">", "&gt;")) or "\n" in h["text"], h)

    async def file(self, side):
        data = f"what {side.name} has to show"
        await side.act("file", name=f"{side.name.lower()}.txt", data=data, text="")
        for other in self.others(side):
            await self.report.wait(f"{other.name} gets {side.name}'s file", other.find("message", files=lambda f: f == [data]), 30)

    async def topic(self, side):
        text = f"topic of {side.name}"
        await side.act("topic", text=text)
        for other in self.others(side):
            await self.report.wait(f"{other.name} sees {side.name}'s topic", other.find("topic", text=text), 30)

    async def no_pings(self):
        """What calls everybody on one platform is text on the others."""
        for side, text in ((self.sides[0], "hey @everyone <!channel> @room @here"),):
            await side.act("say", text=text)
            h = await self.report.wait("Discord: @everyone from XMPP is text", self.discord.find("message", text=lambda t: t is not None and "everyone" in t and "hey" in t))
            if h is not None:
                self.report.that("and calls nobody", not h.get("everyone") and not h.get("called"), h)
            h = await self.report.wait("Slack: <!channel> from XMPP is text", self.slack.find("message", text=lambda t: t is not None and "hey" in t and "channel" in t))
            if h is not None:
                self.report.that("and calls nobody", "<!" not in h["text"], h)
            h = await self.report.wait("Matrix: @room from XMPP is text", self.sides[1].find("message", text=lambda t: t is not None and "hey" in t and "@room" in t))
            if h is not None:
                self.report.that("and calls nobody", not h["content"].get("m.mentions", {}).get("room"), h["content"])

    async def once(self):
        """Nothing came twice, on any side."""
        for side in self.sides:
            texts = [h["text"] for h in await side.heard() if h["what"] == "message" and h.get("text") and not h.get("files")]
            doubled = sorted({t for t in texts if texts.count(t) > 1})
            self.report.that(f"{side.name} heard nothing twice", not doubled, doubled)

    async def shown(self):
        r, command = self.report, self.scene.server.command
        got = json.loads(await command("link", "show", ROOM, "--json"))
        text = json.dumps(got)
        r.that("`viaduct link show` knows the three remotes", all(b in text for b in ("acme", "guild", "matrix")), text)
        r.that("nothing waits or was refused", "dead" not in [k for k, v in flat(got) if v not in (0, None, [], "")], text)

    async def run(self):
        for side in self.sides:
            try:
                await self.everything(side)
            except Abandoned:
                pass
            except Exception as error:  # one side's surprise is not the end of the others
                self.report.that(side.name, False, f"{type(error).__name__}: {error}")
        for part in (self.no_pings, self.once, self.shown):
            try:
                await part()
            except Exception as error:
                self.report.that(part.__name__, False, f"{type(error).__name__}: {error}")


def flat(value, key=""):
    if isinstance(value, dict):
        for k, v in value.items():
            yield from flat(v, k)
    elif isinstance(value, list):
        for v in value:
            yield from flat(v, key)
    else:
        yield key, value


def thumb(emoji):
    return emoji is not None and (emoji.startswith("👍") or emoji in ("thumbsup", "+1"))


async def main(kind):
    check = Check(kind)
    try:
        await check.set_up()
        await check.run()
    except Abandoned as what:
        check.report.note(f"given up: {what}")
    finally:
        if check.scene:
            await check.scene.leave()
        for side in (check.slack, check.discord):
            await side.end()
    if check.scene:
        return check.scene.verdict()
    return 1


if __name__ == "__main__":
    if sys.argv[1:] not in (["dendrite"], ["synapse"]):
        sys.exit(__doc__)
    logging.disable(logging.CRITICAL)  # what matters is in the lines printed
    sys.exit(asyncio.run(main(sys.argv[1])))
