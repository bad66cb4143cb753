"""A Matrix person: matrix-nio, which syncs all the time, and what the homeserver itself says, asked over plain HTTP."""

import asyncio
import io
import itertools
import re
import secrets

import aiohttp
import nio

from .report import Record

FILTER = {"room": {"timeline": {"limit": 500}, "state": {"lazy_load_members": False}}}
REQUEST_TIMEOUT = 40


class Person:
    """One client of one Matrix account. events, typing and presence hold what syncs brought, in order."""

    def __init__(self, homeserver, name, password):
        self.homeserver, self.password = homeserver, password
        self.user_id = f"@{name}:{homeserver.server_name}"
        self.events, self.typing, self.presence = Record(), Record(), Record()
        self.show = "online"  # what its syncs say of it
        config = nio.AsyncClientConfig(request_timeout=REQUEST_TIMEOUT, max_timeouts=0, encryption_enabled=False)
        self.client = nio.AsyncClient(homeserver.url, self.user_id, config=config)
        self._syncing = None
        self._known = set()
        self._numbers = itertools.count()
        self._run = secrets.token_hex(4)

    async def online(self, syncs=True):
        """Logs in; without syncs it only writes."""
        self._good(await self.client.login(self.password))
        if syncs:
            await self._sync(0)
            self._syncing = asyncio.create_task(self._sync_forever())

    async def offline(self):
        if self._syncing:
            self._syncing.cancel()
            await asyncio.gather(self._syncing, return_exceptions=True)
        await self.client.close()

    @staticmethod
    def _good(response):
        if isinstance(response, nio.ErrorResponse):
            raise RuntimeError(str(response))
        return response

    # --- what it does

    async def create_room(self, alias, **options):
        response = await self.client.room_create(visibility=nio.RoomVisibility.public, alias=alias, preset=nio.RoomPreset.public_chat, **options)
        return self._good(response).room_id

    async def join(self, room):
        return self._good(await self.client.join(room)).room_id

    async def leave(self, room):
        self._good(await self.client.room_leave(room))

    async def say(self, room, body, patience=120, html=None):
        """Sends a text until the homeserver takes it, with one transaction id; returns the event's id."""
        txn = f"{self._run}-{next(self._numbers)}"
        content = {"msgtype": "m.text", "body": body} | ({"format": "org.matrix.custom.html", "formatted_body": html} if html else {})
        end = asyncio.get_running_loop().time() + patience
        while True:
            try:
                return self._good(await self.client.room_send(room, "m.room.message", content, tx_id=txn)).event_id
            except (aiohttp.ClientError, asyncio.TimeoutError, RuntimeError) as error:
                if asyncio.get_running_loop().time() > end:
                    raise RuntimeError(f"the homeserver does not take a message: {error}") from error
                await asyncio.sleep(0.1)

    async def set_name(self, name):
        self._good(await self.client.set_displayname(name))

    async def set_avatar(self, png):
        response, _ = await self.client.upload(io.BytesIO(png), content_type="image/png", filename="face.png", filesize=len(png))
        self._good(await self.client.set_avatar(self._good(response).content_uri))

    async def set_topic(self, room, topic):
        self._good(await self.client.room_put_state(room, "m.room.topic", {"topic": topic}))

    async def set_typing(self, room, typing):
        self._good(await self.client.room_typing(room, typing, 20000))

    async def set_presence(self, show, status=None):
        self.show = show
        self._good(await self.client.set_presence(show, status))

    # --- what it sees

    def text(self, room, body=None, sender=None):
        """A condition for events: a message with this body from somebody in a room."""
        def match(e):
            return (e["room"] == room and e["type"] == "m.room.message" and (body is None or e["content"].get("body") == body)
                    and (sender is None or e["sender"] == sender))
        return match

    def member(self, room, user_id, membership, name=None):
        def match(e):
            return (e["room"] == room and e["type"] == "m.room.member" and e.get("state_key") == user_id
                    and e["content"].get("membership") == membership and (name is None or e["content"].get("displayname") == name))
        return match

    async def _sync_forever(self):
        while True:
            try:
                await self._sync(5000)
            except asyncio.CancelledError:
                raise
            except Exception:  # the homeserver is down or not yet up: a client tries again
                await asyncio.sleep(0.2)

    async def _sync(self, timeout):
        since = self.client.next_batch
        response = self._good(await self.client.sync(timeout, FILTER, since=since or None, set_presence=self.show))
        for room, info in response.rooms.join.items():
            if info.timeline.limited and since:
                await self._fill(room, info.timeline.prev_batch, since)
            for event in info.timeline.events:
                self._add(room, event.source)
            for event in info.ephemeral:
                if isinstance(event, nio.TypingNoticeEvent):
                    self.typing.add({"room": room, "users": event.users})
        for event in response.presence_events:
            self.presence.add({"user": event.user_id, "presence": event.presence, "status": event.status_msg})

    async def _fill(self, room, start, end):
        """What a sync left out of a timeline."""
        missed = []
        while start:
            page = self._good(await self.client.room_messages(room, start, end, nio.MessageDirection.back, 500))
            missed += [event.source for event in page.chunk]
            start = page.end if page.chunk and page.end != start else None
        for event in reversed(missed):
            self._add(room, event)

    def _add(self, room, event):
        if event["event_id"] not in self._known:  # clients know events by their ids
            self._known.add(event["event_id"])
            self.events.add(dict(event, room=room))


class Witness:
    """The homeserver's own word, by plain HTTP: no library that could hide something."""

    def __init__(self, homeserver, token):
        self.url, self.headers = homeserver.url, {"Authorization": f"Bearer {token}"}

    async def get(self, path, raw=False, **query):
        async with aiohttp.ClientSession(headers=self.headers, timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)) as session:
            async with session.get(self.url + path, params=query) as response:
                if response.status != 200:
                    raise RuntimeError(f"GET {path}: {response.status} {await response.text()}")
                return await (response.read() if raw else response.json())

    async def timeline(self, room):
        """Every event of a room, in the homeserver's order."""
        path, known, token = f"/_matrix/client/v3/rooms/{room.replace('!', '%21')}/messages", {}, None
        while True:
            query = {"dir": "b", "limit": "500"} | ({"from": token} if token else {})
            page = await self.get(path, **query)
            new = [e for e in page["chunk"] if known.setdefault(e["event_id"], e) is e]
            if not new or not page.get("end"):
                return list(reversed(known.values()))
            token = page["end"]
            # Dendrite 0.15's next page leaves out what is as deep in the graph as the last event of this one: ask from one level above.
            if depth := re.fullmatch(r"t(\d+)_(\d+)", token):
                token = f"t{int(depth[1]) + 1}_{depth[2]}"

    async def profile(self, user_id):
        return await self.get(f"/_matrix/client/v3/profile/{user_id}")

    async def presence(self, user_id):
        return await self.get(f"/_matrix/client/v3/presence/{user_id}/status")

    async def media(self, uri):
        server, _, media_id = uri.removeprefix("mxc://").partition("/")
        return await self.get(f"/_matrix/client/v1/media/download/{server}/{media_id}", raw=True)
