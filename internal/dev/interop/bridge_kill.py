"""Messages run both ways through a bridged room while the plugin, the server and the homeserver are killed with SIGKILL at random moments.

    bridge_kill.py dendrite|synapse [--seed N] [--kills N] [--senders N]

Senders never wait for the other side: an XMPP person hands a message to her connection and goes on; a Matrix person sends the next one when the
homeserver took the last. At each kill at least 20 messages are on the way in each direction (printed). An XMPP client sends again what the
server did not acknowledge (XEP-0198), with the same origin-id; a Matrix client repeats a request with the same transaction id until it
is taken.

The judge: what the foreign clients recorded, against what the server acknowledged and what the homeserver's /messages contain. Nothing may be lost
or doubled, and each sender's order is kept. XMPP clients tell messages apart by stanza-id, Matrix clients by event id, and by nothing else.
The seed repeats the plan of a run (who is killed, in which order, after how much time), not the speed of the machine.
"""

import argparse
import asyncio
import logging
import os
import random
import signal
import sys

from lab import addresses, matrix, xmpp
from lab.processes import DOMAIN, ended
from lab.report import Abandoned, Report, until
from lab.scene import Scene

ON_THE_WAY = 20
ENOUGH = 5 * ON_THE_WAY
VICTIMS = ("plugin", "server", "homeserver")
DRAIN = 180  # seconds in which everything has to arrive after the last kill: homeservers wait up to a minute between attempts


def inverted(got, want):
    """The pairs of texts that stand in the other order than wanted."""
    at = {text: place for place, text in enumerate(want)}
    return {(a, b) for i, a in enumerate(got) for b in got[i + 1:] if at[a] > at[b]}


class Traffic:
    """The two directions: who said what, and how far it has come."""

    def __init__(self, room, muc, xmpp_people, matrix_people, reader):
        self.room, self.muc, self.reader = room, muc, reader
        self.xmpp_people, self.matrix_people = xmpp_people, matrix_people
        self.said = {p.name: [] for p in xmpp_people} | {p.user_id: [] for p in matrix_people}
        self.accepted = {}  # event id -> body, as homeserver answered
        self._writing = {p.user_id: asyncio.Queue() for p in matrix_people}
        self._tasks = [asyncio.create_task(self._write(p)) for p in matrix_people]
        self._at = [0, 0]  # how much of the readers' records has been counted
        self._arrived = [set(), set()]
        self._put = []

    def speak(self, person):
        """An XMPP person says the next thing."""
        said = self.said[person.name]
        said.append(f"{person.name} says {len(said)}")
        person.say(self.muc, said[-1])

    def write(self, person):
        """A Matrix person writes the next thing, as soon as the homeserver has taken what he wrote before."""
        said = self.said[person.user_id]
        said.append(f"{person.user_id} writes {len(said)}")
        self._writing[person.user_id].put_nowait(said[-1])

    async def _write(self, person):
        queue = self._writing[person.user_id]
        while True:
            body = await queue.get()
            self._put.append(body)
            self.accepted[await person.say(self.room, body)] = body
            queue.task_done()

    async def all_accepted(self):
        for queue in self._writing.values():
            await queue.join()

    def end(self):
        for task in self._tasks:
            task.cancel()

    def on_the_way(self):
        """Messages that left their senders and were not yet seen by a reader of the other side: to Matrix, to XMPP."""
        there, here = self._arrived
        for event in self.reader.events.items[self._at[0]:]:
            if event["type"] == "m.room.message":
                there.add(event["content"].get("body"))
        self._at[0] = self.reader.events.mark()
        watcher = self.xmpp_people[0]
        here.update(m["body"] for m in watcher.messages.items[self._at[1]:])
        self._at[1] = watcher.messages.mark()
        out = sum(body not in there for p in self.xmpp_people for body in self.said[p.name])
        return out, sum(body not in here for body in self._put)

    def all_shown(self):
        """Whether the reader's client was shown all that the homeserver accepted."""
        return set(self.accepted) <= {e["event_id"] for e in self.reader.events.items}

    def all_heard(self):
        """Whether XMPP people have as many messages of Matrix people as the reader's client, also of what the homeserver took twice."""
        writers = {p.user_id for p in self.matrix_people}
        there = sum(e["type"] == "m.room.message" and e["sender"] in writers for e in self.reader.events.items)
        nicks = {user[1:].split(":")[0] for user in writers}
        return all(len({xmpp.stanza_id(m, self.muc) for m in p.messages.all(p.said(self.muc)) if m["from"].resource in nicks}) >= there
                   for p in self.xmpp_people)

    def to_write(self):
        """What Matrix people are to write as soon as the homeserver has taken what they wrote before."""
        return sum(queue.qsize() for queue in self._writing.values())

    def unacknowledged(self):
        return sum(len(p.pending) for p in self.xmpp_people)

    def not_accepted(self):
        return len(self._put) - len(self.accepted)


class Run:
    """One run against one homeserver."""

    def __init__(self, options):
        self.o = options
        self.rng = random.Random(options.seed)
        self.report = Report()
        self.scene = Scene(self.report, options.homeserver, "kill", [DOMAIN])
        self.plan = [v for _ in range(options.kills) for v in VICTIMS]
        self.rng.shuffle(self.plan)
        self.killed = []

    async def set_up(self):
        scene = self.scene
        await scene.enter(("juliet", "romeo"))
        self.alice = await scene.matrix_person("alice")
        self.room = await self.alice.create_room("storm", name="Storm")
        self.witness = matrix.Witness(scene.hs, self.alice.client.access_token)
        self.muc = addresses.of_room(self.room)
        self.juliet = await scene.xmpp_person("juliet", "balcony")
        self.romeo = await scene.xmpp_person("romeo", "garden")
        for person in (self.juliet, self.romeo):
            await self.report.must(f"{person.name} enters the room", person.enter(self.muc, person.name.title()), 60)
        writers = []
        for n in range(self.o.senders):
            writer = await scene.matrix_person(f"writer{n}", syncs=False)
            await writer.join(self.room)
            writers.append(writer)
        self.writers = writers
        self.traffic = Traffic(self.room, self.muc, (self.juliet, self.romeo), writers, self.alice)
        self.burst()
        await self.report.must("messages flow both ways", until(lambda: self.traffic.on_the_way() == (0, 0)), 90)

    def burst(self):
        """Brings as many messages on the way as there are to be, and some more, all at once. A direction that has many waiting gets no more:
        a homeserver that shares one room's writing among all its writers would need minutes for what is said in seconds."""
        t = self.traffic
        if t.on_the_way()[0] < ENOUGH:
            for n in range(ON_THE_WAY + 10):
                t.speak((self.juliet, self.romeo)[n % 2])
        if t.to_write() < ENOUGH:
            for n in range(ON_THE_WAY + 10):
                t.write(self.writers[n % len(self.writers)])

    async def pace(self):
        """Everybody goes on talking, whatever happens."""
        while True:
            self.traffic.speak(self.rng.choice((self.juliet, self.romeo)))
            self.traffic.write(self.rng.choice(self.writers))
            await asyncio.sleep(0.4)

    async def kill(self, number, victim, wait, down):
        """Waits a random while, makes sure that enough is on the way, and kills."""
        r, t, scene = self.report, self.traffic, self.scene
        await asyncio.sleep(wait)
        await asyncio.wait_for(asyncio.gather(self.juliet.inside.wait(), self.romeo.inside.wait(), until(scene.server.plugin_pid)), 60)
        self.burst()
        await asyncio.sleep(self.rng.random())
        while min(t.on_the_way()) < ON_THE_WAY:
            self.burst()
            await asyncio.sleep(self.rng.random() / 10)
        plugin = scene.server.plugin_pid()
        out, back = t.on_the_way()
        counts = f"to Matrix {out} ({t.unacknowledged()} not acknowledged), to XMPP {back} ({t.not_accepted()} not accepted)"
        if victim == "plugin":
            if not plugin:
                plugin = await asyncio.wait_for(until(scene.server.plugin_pid), 30)
            os.kill(plugin, signal.SIGKILL)
        elif victim == "server":
            await scene.server.kill()
        else:
            await scene.hs.kill()
        r.that(f"kill {number} of {len(self.plan)}: the {victim}; on the way {counts}", out >= ON_THE_WAY and back >= ON_THE_WAY)
        self.killed.append(victim)
        await asyncio.sleep(down)
        if victim == "plugin":
            await r.must("  the server starts another one", until(lambda: scene.server.plugin_pid() not in (None, plugin)), 60)
        elif victim == "server":
            if plugin:
                await r.wait("  its plugin has ended with it", ended(plugin))
            await r.must("  it starts again", scene.server.start())
        else:
            await r.must("  it starts again", scene.hs.start())

    async def storm(self):
        steady = asyncio.create_task(self.pace())
        try:
            for number, victim in enumerate(self.plan, 1):
                await self.kill(number, victim, self.rng.uniform(1, 4), self.rng.uniform(0, 1.5))
        finally:
            steady.cancel()

    async def drain(self):
        r, t = self.report, self.traffic
        await r.wait("the homeserver has taken everything", t.all_accepted(), DRAIN)

        def acknowledged():
            for person in (self.juliet, self.romeo):
                person.request_acks()
            return not t.unacknowledged()
        await r.wait("the server has acknowledged everything", until(acknowledged, 0.5), DRAIN)
        # Dendrite shows what it had in its queues when it was killed up to 30 s after its start.
        await r.wait("the homeserver shows alice's client everything that it has accepted", until(t.all_shown, 0.5), DRAIN)
        await r.wait("everything has arrived", until(lambda: t.on_the_way() == (0, 0) and t.all_heard(), 0.5), DRAIN)
        await asyncio.sleep(5)  # time for what comes twice to come
        t.end()

    # --- the judge

    async def judge(self):
        timeline = [e for e in await self.witness.timeline(self.room) if e["type"] == "m.room.message"]
        self.to_matrix(timeline)
        self.to_xmpp(timeline)
        self.among_xmpp()

    def same(self, what, got, want, shown=None):
        """Nothing lost, nothing doubled, the order kept: the lists are equal; else it says which of it is wrong.

        shown is the order in which the homeserver itself showed them to its own client: what it shows late (Dendrite, after it was
        killed, up to 30 s) nobody else can see earlier. It excuses an order, never a loss or a repetition.
        """
        late = shown is not None and sorted(got) == sorted(want) and sorted(shown) == sorted(want) and not inverted(got, want) - inverted(shown, want)
        if got == want or late:
            return self.report.that(f"{what}: all {len(want)}, in order, none twice{'' if got == want else ' (as late as the homeserver showed them)'}", True)
        lost = [x for x in want if x not in got]
        more = sorted({x for x in got if got.count(x) > want.count(x)})
        order = "kept" if [x for x in dict.fromkeys(got) if x in want] == [x for x in dict.fromkeys(want) if x in got] else "not kept"
        return self.report.that(what, False, f"{len(want)} expected, {len(got)} there; lost {lost[:10]} ({len(lost)}); too many {more[:10]} ({len(more)}); order {order}")

    def to_matrix(self, timeline):
        """What the server acknowledged stands in the homeserver's /messages, and was seen by Alice's client."""
        seen = [e for e in self.alice.events.items if e["type"] == "m.room.message"]
        self.same("alice's client saw what the homeserver has", sorted(e["event_id"] for e in seen), sorted(e["event_id"] for e in timeline))
        for person in (self.juliet, self.romeo):
            ghost = self.scene.ghost(person.name)
            shown = [e["content"].get("body") for e in seen if e["sender"] == ghost]
            self.same(f"{person.name} to Matrix, the homeserver", [e["content"].get("body") for e in timeline if e["sender"] == ghost], self.traffic.said[person.name])
            self.same(f"{person.name} to Matrix, alice's client", shown, self.traffic.said[person.name], shown)

    def recorded(self, person):
        """What a person's client showed: (nick, body), each stanza-id once."""
        shown = {}
        for m in person.messages.all(person.said(self.muc)):
            shown.setdefault(xmpp.stanza_id(m, self.muc), (m["from"].resource, m["body"]))
        return list(shown.values())

    def to_xmpp(self, timeline):
        """What stands in the homeserver's /messages was seen by the clients of XMPP people, be it that it was pushed or not."""
        ids = {e["event_id"] for e in timeline}
        self.report.that("the homeserver has what it accepted", set(self.traffic.accepted) <= ids, set(self.traffic.accepted) - ids)
        twice = len(timeline) - len({(e["sender"], e["content"].get("body")) for e in timeline})
        if twice:
            self.report.note(f"the homeserver itself took {twice} messages twice")
        for person in (self.juliet, self.romeo):
            shown = self.recorded(person)
            self.report.that(f"{person.name}: every message has a stanza-id", all(xmpp.stanza_id(m, self.muc) for m in person.messages.all(person.said(self.muc))))
            for writer in self.writers:
                name = writer.user_id[1:].split(":")[0]
                want = [e["content"]["body"] for e in timeline if e["sender"] == writer.user_id]
                there = [e["content"]["body"] for e in self.alice.events.items if e["type"] == "m.room.message" and e["sender"] == writer.user_id]
                self.same(f"{name} to {person.name}", [body for nick, body in shown if nick == name], want, there)

    def among_xmpp(self):
        """The room itself loses and doubles nothing either."""
        for reader in (self.juliet, self.romeo):
            errors = [m for m in reader.messages.items if m["type"] == "error"]
            self.report.that(f"{reader.name}: no message was refused", not errors, f"{len(errors)}, the first: {errors[:1]}")
            shown = self.recorded(reader)
            for writer in (self.juliet, self.romeo):
                got = [body for nick, body in shown if nick == writer.name.title()]
                self.same(f"{writer.name} in the room, seen by {reader.name}", got, self.traffic.said[writer.name])

    async def run(self):
        self.report.note(f"seed {self.o.seed}; the plan: {' '.join(self.plan)}")
        await self.set_up()
        await self.storm()
        await self.drain()
        await self.judge()
        t = self.traffic
        self.report.note(f"{sum(len(t.said[p.name]) for p in (self.juliet, self.romeo))} messages to Matrix, {len(t.accepted)} to XMPP; "
                         f"killed: {', '.join(f'{v} {self.killed.count(v)}' for v in VICTIMS)}; streams resumed {self.juliet.resumed + self.romeo.resumed}, "
                         f"begun anew {self.juliet.restarted + self.romeo.restarted}")


async def main(options):
    run = Run(options)
    try:
        await run.run()
    except Abandoned as what:
        run.report.note(f"given up: {what}")
    except Exception as error:  # the scene must be cleared in any case
        run.report.that("the run", False, f"{type(error).__name__}: {error}")
    finally:
        await run.scene.leave()
    print(f"seed {options.seed}")
    return run.scene.verdict()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("homeserver", choices=("dendrite", "synapse"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--kills", type=int, default=3, help="of each: plugin, server, homeserver")
    parser.add_argument("--senders", type=int, default=24, help="Matrix people who write")
    logging.disable(logging.CRITICAL)  # connections break here, on purpose
    sys.exit(asyncio.run(main(parser.parse_args())))
