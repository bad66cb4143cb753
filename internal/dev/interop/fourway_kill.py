"""Numbered messages run through one room of four platforms while the server, its plugins and the platforms are hit at random moments.

    fourway_kill.py dendrite|synapse [--seed N] [--messages N] [--kills N] [--rates small|real]

People of XMPP, Matrix, Slack and Discord write all the time and wait for nobody. The messages are cut into as many parts as there are kills, and
one more; while a part is being written, one of the eight is hit: the server, one of its three plugins or the homeserver with SIGKILL; Discord answers
503 and loses its connections for a while, or only loses them; Slack sends all connections away. The next part begins when it is up again.

The judge: what the foreign client of each side recorded, against what each person said. Nothing may be lost or doubled, and each sender's order is
kept. Clients tell messages apart by the id that their platform gave them, and by nothing else. The seed repeats the plan of a run, not the machine's speed.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sys

from fourway_check import ROOM, Check, flat
from lab import matrix
from lab.processes import ended
from lab.report import Abandoned, until

PLUGINS = ("matrix", "slack", "discord")
VICTIMS = (*(f"{p} plugin" for p in PLUGINS), "server", "homeserver", "Discord", "connection to Discord", "connection to Slack")
PATIENCE = 120  # seconds in which a person's program takes what it is to say
SLOWER = {"small": 1, "real": 10}  # people, so that what they say is still on its way when the last is hit, but not for hours
DRAIN = {"small": 150, "real": 3600}  # seconds in which everything has to arrive after the last kill


def faults(got, want):
    """What is wrong with a list of texts, "" if nothing is."""
    if got == want:
        return ""
    lost = [t for t in want if t not in got]
    more = sorted({t for t in got if got.count(t) > want.count(t)})
    order = "kept" if [t for t in dict.fromkeys(got) if t in want] == [t for t in dict.fromkeys(want) if t in got] else f"not kept: {got}"
    return f"{len(want)} expected, {len(got)} there; lost {lost[:10]} ({len(lost)}); too many {more[:10]} ({len(more)}); order {order}"


class Kill(Check):
    """One run against one homeserver."""

    def __init__(self, options):
        super().__init__(options.homeserver, "fourkill", options.rates)
        self.o, self.rng = options, random.Random(options.seed)
        self.plan = [v for _ in range(options.kills) for v in VICTIMS]
        self.rng.shuffle(self.plan)
        self.said = {}

    # --- what people do

    async def speak(self, side, text):
        """Says one thing as that side's program does: it tries again until it is taken."""
        self.said[side.name].append(text)
        if side.name == "XMPP":
            side.person.say(ROOM, text)  # kept until the server has acknowledged it
        elif side.name == "Matrix":
            await side.person.say(side.room, text, PATIENCE)  # with one transaction id
        else:
            await asyncio.wait_for(self.taken(side, text), PATIENCE)

    @staticmethod
    async def taken(side, text):
        while True:
            try:
                return await side.act("say", text=text)
            except RuntimeError:  # refused as a whole while the platform is down
                await asyncio.sleep(0.2)

    async def part(self, side, count, gaps):
        for _, gap in zip(range(count), gaps):
            await asyncio.sleep(gap)
            await self.speak(side, f"{side.name} says {len(self.said[side.name]):03}")

    async def recorded(self, side):
        """The texts that a side's client showed, by who said them, each id once; and those that came without an id."""
        shown, nameless = {}, []
        for h in await side.heard():
            if h["what"] != "message" or not h["text"].startswith(tuple(f"{s} says " for s in self.said)):
                continue
            if h["id"]:
                shown.setdefault(h["id"], h["text"])
            else:
                nameless.append(h["text"])
        return {s: [t for t in shown.values() if t.startswith(f"{s} says ")] for s in self.said}, nameless

    # --- what happens to them

    async def hit(self, victim, down):
        """Hits one of them, and returns when it is up again."""
        r, scene = self.report, self.scene
        if victim.endswith(" plugin"):
            name = victim.partition(" ")[0]
            pid = await r.must(f"  the {name} plugin runs", until(lambda: scene.server.plugin_pid(name)))
            os.kill(pid, signal.SIGKILL)
            await r.must("  the server starts another one", until(lambda: scene.server.plugin_pid(name) not in (None, pid)), 60)
        elif victim == "server":
            pids = [pid for pid in map(scene.server.plugin_pid, PLUGINS) if pid]
            await scene.server.kill()
            await asyncio.sleep(down)
            await r.wait("  its plugins end with it", asyncio.gather(*map(ended, pids)))
            await r.must("  it starts again", scene.server.start())
        elif victim == "homeserver":
            await scene.hs.kill()
            await asyncio.sleep(down)
            await r.must("  it starts again", scene.hs.start(), 90)
        elif victim == "Discord":
            await self.discord.act("down")
            await asyncio.sleep(down)
            await self.discord.act("up")
        elif victim == "connection to Discord":
            await self.discord.act("cut")
        else:
            await self.slack.disconnect(self.rng.choice(("warning", "refresh_requested")))

    async def missing(self):
        """How many messages each side's client has not shown yet."""
        return {s.name: sum(len(set(said) - set(got[who])) for who, said in self.said.items()) for s in self.sides for got, _ in [await self.recorded(s)]}

    async def storm(self):
        parts, slower = len(self.plan) + 1, SLOWER[self.o.rates]
        shares = [self.o.messages * (n + 1) // parts - self.o.messages * n // parts for n in range(parts)]
        for number, (victim, count) in enumerate(zip([*self.plan, None], shares), 1):
            pace = {s.name: [slower * self.rng.uniform(0.1, 0.6) for _ in range(count)] for s in self.sides}
            wait, down = slower * self.rng.uniform(0, 0.35 * count), self.rng.uniform(0.5, 3)
            people = asyncio.gather(*(self.part(s, count, pace[s.name]) for s in self.sides))
            try:
                if victim:
                    await asyncio.sleep(wait)
                    on_the_way = await self.missing()
                    self.report.note(f"hit {number} of {len(self.plan)}: the {victim}; on the way to {', '.join(f'{n} {c}' for n, c in on_the_way.items())}")
                    await self.hit(victim, down)
                await people
            finally:
                people.cancel()
                await asyncio.gather(people, return_exceptions=True)

    async def drain(self):
        r, juliet = self.report, self.sides[0].person

        def acknowledged():
            juliet.request_acks()
            return not juliet.pending
        await r.wait("the server has acknowledged everything", until(acknowledged, 0.5), 60)

        async def arrived():
            return not any((await self.missing()).values())
        await r.wait("everything has arrived everywhere", until(arrived, 1), DRAIN[self.o.rates])
        await asyncio.sleep(8)  # time for what comes twice to come

    # --- the judge

    async def judge(self):
        alice = self.sides[1]
        timeline = [e for e in await matrix.Witness(self.scene.hs, alice.person.client.access_token).timeline(alice.room) if e["type"] == "m.room.message"]
        own = [e["content"]["body"] for e in timeline if e["sender"] == alice.person.user_id and e["content"]["body"].startswith("Matrix says ")]
        self.report.that("the homeserver has what alice said", set(self.said["Matrix"]) <= set(own), set(self.said["Matrix"]) - set(own))
        if len(own) > len(self.said["Matrix"]):  # it forgets transaction ids when it is killed: then both events count
            self.report.note(f"the homeserver itself took {len(own) - len(self.said['Matrix'])} messages twice")
        errors = [m for m in self.sides[0].person.messages.items if m["type"] == "error"]
        self.report.that("no message of juliet's was refused", not errors, errors[:1])
        for side in self.sides:
            got, nameless = await self.recorded(side)
            self.report.that(f"{side.name}: every message has an id", not nameless, nameless)
            for who, said in self.said.items():
                wrong = faults(got[who], own if who == "Matrix" else said)
                self.report.that(f"{who} to {side.name}: all {len(said)}, in order, none twice", not wrong, wrong)
        shown = await self.scene.server.command("link", "show", ROOM, "--json")
        self.report.that("no dead letters", "dead" not in [k for k, v in flat(json.loads(shown)) if v not in (0, None, [], "")], shown)

    async def run(self):
        self.report.note(f"seed {self.o.seed}; the plan: {', '.join(self.plan)}")
        self.said = {s.name: [] for s in self.sides}
        await self.storm()
        await self.drain()
        await self.judge()
        slack, discord = await self.slack.refused(), await self.discord.refused()
        self.report.that("both platforms answered 429", slack and discord, f"Slack {slack}, Discord {discord} times")
        self.report.note(f"{self.o.messages} messages from each side; 429: Slack {slack}, Discord {discord} times")


async def main(options):
    run = Kill(options)
    try:
        await run.set_up()
        await run.run()
    except Abandoned as what:
        run.report.note(f"given up: {what}")
    except Exception as error:  # the scene must be cleared in any case
        run.report.that("the run", False, f"{type(error).__name__}: {error}")
    finally:
        if run.scene:
            await run.scene.leave()
        for side in (run.slack, run.discord):
            await side.end()
    print(f"seed {options.seed}")
    return run.scene.verdict() if run.scene else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("homeserver", choices=("dendrite", "synapse"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--messages", type=int, default=40, help="from each side")
    parser.add_argument("--kills", type=int, default=1, help="of each of the eight")
    parser.add_argument("--rates", choices=tuple(DRAIN), default="small", help="how fast one may write on Slack and Discord")
    logging.disable(logging.CRITICAL)  # connections break here, on purpose
    sys.exit(asyncio.run(main(parser.parse_args())))
