"""The scene of a proof: a homeserver with the registration that the bridge's set-up wrote, the server, and people."""

import asyncio
import hashlib
import hmac
import os
import pathlib
import shutil
import tempfile

import aiohttp

from . import addresses, matrix, xmpp
from .processes import DOMAIN, Homeserver, Viaduct
from .report import until

RUN = os.environ.get("INTEROP_RUN", str(os.getpid()))  # two runs at a time have homeservers of their own
SHARED_SECRET = "peer-shared-secret"  # the default of internal/dev/peers


class Scene:
    """Everything of one proof against one homeserver; enter() and leave() are its beginning and end."""

    def __init__(self, report, kind, what, allow=None, server_name=None, **options):
        self.report = report
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="viaduct-"))
        self.hs = Homeserver(kind, f"interop-{RUN}-{what}-{kind}", server_name)
        self.server = Viaduct(self.folder, self.hs, allow, **options)
        self.passwords = {}
        self.people = []
        self.last_test = ""

    async def enter(self, accounts):
        """Follows the README: the homeserver exists; `bridge setup` writes the registration; the homeserver loads it; the server starts."""
        r, hs, server = self.report, self.hs, self.server
        hs.env["SHARED_SECRET"] = SHARED_SECRET
        await r.must(f"{hs.kind} starts as {hs.server_name}, without a bridge", hs.start(), 90)
        printed = await r.must("`viaduct bridge setup matrix` runs", server.command("bridge", "setup", "matrix"))
        r.that("it writes the registration, for its owner only",
               server.registration.is_file() and server.registration.stat().st_mode & 0o077 == 0, printed)
        await hs.stop()
        await r.must(f"{hs.kind} starts with that registration", hs.start(server.registration), 90)
        for name in accounts:
            self.passwords[name] = await server.add_account(name)
        await r.must("the server starts", server.start())
        if not await r.wait("`viaduct bridge test matrix` finds nothing wrong", until(self._bridge_works, 1), 60):
            r.note(self.last_test)

    async def _bridge_works(self):
        try:
            await self.server.command("bridge", "test", "matrix")
            return True
        except RuntimeError as error:
            self.last_test = str(error)
            return False

    async def xmpp_person(self, name, resource):
        person = xmpp.Person(f"{name}@{DOMAIN}", self.passwords[name], self.server.c2s_port, self.server.ca_file, resource)
        self.people.append(person)
        await self.report.must(f"{name} logs in (slixmpp, {resource})", person.online())
        return person

    async def matrix_person(self, name, syncs=True):
        """Makes a Matrix account and logs it in with matrix-nio."""
        password = f"password-{name}"
        await self._register(name, password)
        person = matrix.Person(self.hs, name, password)
        self.people.append(person)
        await person.online(syncs)
        return person

    async def _register(self, name, password):
        """Registration with the shared secret, which Synapse and Dendrite have in common."""
        url = self.hs.url + "/_synapse/admin/v1/register"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            async with session.get(url) as response:
                nonce = (await response.json())["nonce"]
            mac = hmac.new(SHARED_SECRET.encode(), b"\0".join([nonce.encode(), name.encode(), password.encode(), b"notadmin"]), hashlib.sha1)
            body = {"nonce": nonce, "username": name, "password": password, "admin": False, "mac": mac.hexdigest()}
            async with session.post(url, json=body) as response:
                if response.status != 200:
                    raise RuntimeError(f"register {name}: {response.status} {await response.text()}")

    def ghost(self, name):
        return addresses.ghost(name, self.hs.server_name)

    async def leave(self):
        for person in self.people:
            try:
                await asyncio.wait_for(person.offline(), 10)
            except Exception as error:  # its end is no finding
                self.report.note(f"offline: {error!r}")
        await self.report.wait("the server stops when it is told to", self.server.stop(), 60)
        if self.report.failed and self.hs.log:
            try:
                await self.hs.stop()
                shutil.copytree(pathlib.Path(self.hs.log).parent, self.folder / self.hs.kind, symlinks=True)
            except (RuntimeError, OSError) as error:
                self.report.note(f"the homeserver's data are not kept: {error}")
        self.hs.wipe()

    def verdict(self):
        """Prints the end of the run; what the server wrote is kept if something failed. Returns the exit status."""
        return self.report.verdict(self.server, self.folder, f"{self.hs.kind}: ")
