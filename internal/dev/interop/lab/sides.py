"""The sides of a room that several platforms share: on each a person who acts through a foreign client, and what that client was told, in one form.

What is heard is a list of dicts, in its order: what (message, edit, delete, react, unreact, topic), id, author, text, reply (id), emoji, files (contents), mine.
"""

import asyncio
import os
import secrets
import subprocess
import xml.etree.ElementTree as ET

import aiohttp
import slixmpp

from . import xmpp
from .processes import DOMAIN, PEERS, ROOT, die_with_parent
from .report import until

RETRACT = "{urn:xmpp:message-retract:1}"
REACTIONS = "{urn:xmpp:reactions:0}"
CORRECT = "{urn:xmpp:message-correct:0}"
REPLY = "{urn:xmpp:reply:0}"
FALLBACK = "{urn:xmpp:fallback:0}"
OOB = "{jabber:x:oob}"


class Side:
    """What all sides have; act() and heard() are theirs."""

    name = ""
    thumb = "👍"  # how this side writes it

    async def heard(self):
        raise NotImplementedError

    async def find(self, what, since=0, **fields):
        """Waits for something from a mark on and returns it."""
        async def look():
            for h in (await self.heard())[since:]:
                if h["what"] == what and all(v(h.get(k)) if callable(v) else h.get(k) == v for k, v in fields.items()):
                    return h
            return None
        return await until(look, 0.1)

    async def mark(self):
        return len(await self.heard())

    async def count(self, what, **fields):
        return sum(h["what"] == what and all(v(h.get(k)) if callable(v) else h.get(k) == v for k, v in fields.items()) for h in await self.heard())


class Remote(Side):
    """A person in a program of its own that takes orders by HTTP: see internal/dev/peers/slack/person.mjs and internal/dev/peers/discord."""

    def __init__(self, name):
        self.name, self.control, self.process, self.values = name, "", None, {}
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    async def launch(self, *command, ready, env=None):
        self.process = await asyncio.create_subprocess_exec(*command, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, preexec_fn=die_with_parent)
        while ready not in self.values:
            line = (await asyncio.wait_for(self.process.stdout.readline(), 120)).decode().strip()
            if not line:
                raise RuntimeError(f"{self.name}: {command[0]} ended")
            key, _, value = line.partition("=")
            self.values[key] = value
        self.control = self.values["CONTROL"]

    async def act(self, what, **order):
        async with self.session.post(f"{self.control}/{what}", json=order) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{self.name}: {what}: {answer.status} {await answer.text()}")
            return (await answer.json())["id"]

    async def heard(self):
        async with self.session.get(f"{self.control}/heard") as answer:
            return await answer.json()

    async def end(self):
        await self.session.close()
        if self.process and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()


class Discord(Remote):
    """The fake Discord and a person on it, through discordgo."""

    def __init__(self, rates=""):
        super().__init__("Discord")
        self.rates = rates

    async def start(self):
        program = str(ROOT / "bin" / "discord-peer")
        done = await asyncio.to_thread(subprocess.run, ["go", "build", "-o", program, "./internal/dev/peers/discord"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        await self.launch(program, *([f"-{self.rates}"] if self.rates else []), ready="READY")

    async def refused(self):
        """How many requests were answered 429."""
        async with self.session.get(f"{self.control}/refused") as answer:
            return await answer.json()

    def bridge(self):
        return f"""  - name: guild
    plugin: discord
    config: {{bot_token: "{self.values['BOT_TOKEN']}", api_url: "{self.values['API_URL']}", cdn_url: "{self.values['CDN_URL']}"}}
"""

    def remote(self):
        return f"guild:{self.values['CHANNEL']}"


class Slack(Remote):
    """The Slack API server, another author's, and a person on it, through Slack's own library."""

    thumb = "thumbsup"

    POSTS = {"": "", "small": "5/2", "real": "1/1"}  # messages that an app may post to a channel, in so many seconds

    def __init__(self, instance, port, rates=""):
        super().__init__("Slack")
        self.env = dict(os.environ, INSTANCE=instance, HTTP_PORT=str(port), ENV_PREFIX="P", POST_LIMIT=self.POSTS[rates])

    def _script(self, name, *args):
        done = subprocess.run([str(PEERS / "slack" / name), *args], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"slack: {name}: {done.stderr.strip()[-2000:]}")
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    async def start(self):
        self.server = {k: v.strip("'\"") for k, v in (await asyncio.to_thread(self._script, "start.sh")).items()}
        await self.launch(str(PEERS / "slack" / "person.sh"), self.server["P_TOKEN_ALICE"], self.server["P_CHANNEL_GENERAL"], ready="CONTROL", env=self.env)

    def bridge(self):
        return f"""  - name: acme
    plugin: slack
    config: {{bot_token: "{self.server['P_BOT_TOKEN']}", app_token: "{self.server['P_APP_TOKEN']}", api_url: "{self.server['P_API_URL']}"}}
"""

    def remote(self):
        return f"acme:{self.server['P_CHANNEL_GENERAL']}"

    async def refused(self):
        """How many requests were answered 429."""
        async with self.session.get(f"{self.server['P_URL']}/_peer/state") as answer:
            return (await answer.json())["refused"]

    async def disconnect(self, reason):
        """Tells all connections of the app to go, as the platform does."""
        async with self.session.post(f"{self.server['P_URL']}/_peer/disconnect", params={"reason": reason}) as answer:
            answer.raise_for_status()

    async def end(self):
        await super().end()
        await asyncio.to_thread(self._script, "stop.sh", "--wipe")


class Matrix(Side):
    """A person on a homeserver, through matrix-nio."""

    name = "Matrix"

    def __init__(self, person, room):
        self.person, self.room = person, room

    async def heard(self):
        out, names, reactions = [], {}, {}
        for e in self.person.events.items:
            if e["room"] != self.room:
                continue
            c, mine = e.get("content", {}), e["sender"] == self.person.user_id
            h = {"id": e["event_id"], "author": names.get(e["sender"], e["sender"]), "mine": mine}
            relates = c.get("m.relates_to", {})
            if e["type"] == "m.room.member":
                names[e["state_key"]] = c.get("displayname") or e["state_key"]
            elif e["type"] == "m.room.message" and relates.get("rel_type") == "m.replace":
                out.append(h | {"what": "edit", "id": relates["event_id"], "text": c.get("m.new_content", {}).get("body")})
            elif e["type"] == "m.room.message":
                out.append(h | {"what": "message", "text": c.get("body", ""), "reply": relates.get("m.in_reply_to", {}).get("event_id", ""),
                                "files": [await self.media(c["url"])] if "url" in c else [], "content": c})
            elif e["type"] == "m.reaction" and relates:
                reactions[e["event_id"]] = (relates["event_id"], relates["key"])
                out.append(h | {"what": "react", "id": relates["event_id"], "emoji": relates["key"], "event": e["event_id"]})
            elif e["type"] == "m.room.redaction":
                target = c.get("redacts") or e.get("redacts")
                if target in reactions:
                    out.append(h | {"what": "unreact", "id": reactions[target][0], "emoji": reactions[target][1]})
                else:
                    out.append(h | {"what": "delete", "id": target})
            elif e["type"] == "m.room.topic":
                out.append(h | {"what": "topic", "text": c.get("topic", "")})
        return out

    async def media(self, uri):
        response = await self.person.client.download(uri)
        return getattr(response, "body", str(response).encode()).decode(errors="replace")

    async def act(self, what, id="", text="", emoji="", name="", data=""):  # pylint: disable=redefined-builtin # as the others call it
        client, send = self.person.client, self._send
        if what == "say":
            return await self.person.say(self.room, text)
        if what == "edit":
            return await send("m.room.message", {"msgtype": "m.text", "body": f"* {text}", "m.new_content": {"msgtype": "m.text", "body": text},
                                                 "m.relates_to": {"rel_type": "m.replace", "event_id": id}})
        if what == "reply":
            return await send("m.room.message", {"msgtype": "m.text", "body": text, "m.relates_to": {"m.in_reply_to": {"event_id": id}}})
        if what == "react":
            return await send("m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": id, "key": emoji}})
        if what == "delete":
            return str(await client.room_redact(self.room, id))
        if what == "unreact":
            own = next(h for h in await self.heard() if h["what"] == "react" and h["mine"] and h["id"] == id and h["emoji"] == emoji)
            return str(await client.room_redact(self.room, own["event"]))
        if what == "file":
            import io  # noqa: PLC0415
            response, _ = await client.upload(io.BytesIO(data.encode()), content_type="text/plain", filename=name, filesize=len(data))
            return await send("m.room.message", {"msgtype": "m.file", "body": name, "filename": name, "url": response.content_uri, "info": {"size": len(data), "mimetype": "text/plain"}})
        if what == "topic":
            return await self.person.set_topic(self.room, text)
        raise ValueError(what)

    async def _send(self, kind, content):
        return (await self.person.client.room_send(self.room, kind, content)).event_id


class XMPP(Side):
    """A person in the room itself, through slixmpp."""

    name = "XMPP"

    def __init__(self, person, room, nick, browse):
        self.person, self.room, self.nick, self.browse = person, slixmpp.JID(room), nick, browse
        self._files = {}

    async def heard(self):
        out, ids, sets = [], {}, {}
        for m in self.person.messages.items:
            if m["type"] != "groupchat" or m["from"].bare != self.room.bare:
                continue
            nick = m["from"].resource
            sid = xmpp.stanza_id(m, self.room.bare)
            h = {"id": sid, "author": nick, "mine": nick == self.nick}
            replace, retract, reactions = m.xml.find(CORRECT + "replace"), m.xml.find(RETRACT + "retract"), m.xml.find(REACTIONS + "reactions")
            body, subject = m.xml.find("{jabber:client}body"), m.xml.find("{jabber:client}subject")
            if replace is not None:
                out.append(h | {"what": "edit", "id": ids.get((nick, replace.get("id")), replace.get("id")), "text": m["body"]})
            elif retract is not None:
                out.append(h | {"what": "delete", "id": retract.get("id")})
            elif reactions is not None:
                key, now = (nick, reactions.get("id")), {r.text for r in reactions.findall(REACTIONS + "reaction")}
                was = sets.get(key, set())
                out += [h | {"what": "react", "id": key[1], "emoji": e} for e in sorted(now - was)]
                out += [h | {"what": "unreact", "id": key[1], "emoji": e} for e in sorted(was - now)]
                sets[key] = now
            elif body is not None:
                ids[(nick, m["id"])] = sid
                reply, url = m.xml.find(REPLY + "reply"), m.xml.find(f"{OOB}x/{OOB}url")
                out.append(h | {"what": "message", "text": self.without_fallback(m), "reply": reply.get("id") if reply is not None else "",
                                "files": [await self.fetch(url.text)] if url is not None else [], "message": m["id"]})
            elif subject is not None:
                out.append(h | {"what": "topic", "text": subject.text or ""})
        return out

    @staticmethod
    def without_fallback(m):
        body = m["body"]
        for f in m.xml.findall(FALLBACK + "fallback"):
            part = f.find(FALLBACK + "body")
            if f.get("for") == REPLY.strip("{}") and part is not None:
                body = body[:int(part.get("start", 0))] + body[int(part.get("end", len(body))):]
        return body

    async def fetch(self, url):
        if url not in self._files:
            async with self.browse() as session, session.get(url) as answer:
                self._files[url] = await answer.text() if answer.status == 200 else f"{answer.status} {await answer.text()}"
        return self._files[url]

    async def act(self, what, id="", text="", emoji="", name="", data=""):  # pylint: disable=redefined-builtin # as the others call it
        m = self.person.make_message(self.room, text or None, mtype="groupchat")
        m["id"] = secrets.token_hex(8)
        if what == "edit":
            heard = await self.find("message", id=id)
            m.append(ET.Element(CORRECT + "replace", id=heard["message"]))
        elif what == "reply":
            m.append(ET.Element(REPLY + "reply", id=id))
        elif what == "delete":
            m.append(ET.Element(RETRACT + "retract", id=id))
        elif what in ("react", "unreact"):
            reactions = ET.Element(REACTIONS + "reactions", id=id)
            if what == "react":
                ET.SubElement(reactions, REACTIONS + "reaction").text = emoji
            m.append(reactions)
        elif what == "file":
            link = await self.upload(name, data.encode())
            m["body"] = link
            x = ET.Element(OOB + "x")
            ET.SubElement(x, OOB + "url").text = link
            m.append(x)
        elif what == "topic":
            m = self.person.make_message(self.room, mtype="groupchat", msubject=text)
        self.person.send(m)
        return ""

    async def upload(self, name, data):
        plugin = self.person.plugin["xep_0363"]
        found = await plugin.find_upload_service(domain=slixmpp.JID(DOMAIN))
        slot = (await plugin.request_slot(found["from"], name, len(data), "text/plain"))["http_upload_slot"]
        headers = {h["name"]: h["value"] for h in slot["put"]["headers"]} | {"Content-Type": "text/plain"}
        async with self.browse() as session, session.put(slot["put"]["url"], data=data, headers=headers) as answer:
            if answer.status != 201:
                raise RuntimeError(f"upload: {answer.status} {await answer.text()}")
        return slot["get"]["url"]


