"""Two slixmpp clients use a server as people do; see check.sh. Exit status 0 only if every step worked."""

import asyncio
import secrets
import ssl
import sys

import slixmpp

TIMEOUT = 30  # seconds for one step


class Person(slixmpp.ClientXMPP):
    """A client that registers its account, and whose steps can be awaited."""

    def __init__(self, jid, ca_file):
        super().__init__(jid, secrets.token_urlsafe(12))
        self.ready = asyncio.get_running_loop().create_future()
        self.inbox = asyncio.Queue()
        for plugin in ("xep_0030", "xep_0045", "xep_0077", "xep_0092", "xep_0199"):
            self.register_plugin(plugin)
        self.plugin["xep_0077"].force_registration = True
        self.enable_direct_tls = False  # ADDR is the port that begins in the clear
        self.enable_plaintext = False
        self.ca_certs = ca_file
        if ca_file is None:
            self.ssl_context.check_hostname = False
            self.ssl_context.verify_mode = ssl.CERT_NONE
        self.add_event_handler("register", self.on_register)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.inbox.put_nowait)
        for event in ("failed_all_auth", "connection_failed", "disconnected", "stream_error"):
            self.add_event_handler(event, lambda reason, event=event: self.fail(f"{event}: {reason}"))

    def fail(self, why):
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(why))

    async def on_register(self, _form):
        iq = self.Iq()
        iq["type"] = "set"
        iq["register"]["username"] = self.boundjid.user
        iq["register"]["password"] = self.password
        try:
            await iq.send()
        except slixmpp.exceptions.IqError as error:
            self.fail(f"registration refused: {error.condition} {error.text}")

    async def on_start(self, _event):
        try:
            self.send_presence()
            await self.get_roster()
        except slixmpp.exceptions.XMPPError as error:
            self.fail(f"roster: {error.condition} {error.text}")
            return
        if not self.ready.done():
            self.ready.set_result(None)

    async def message(self, body):
        """The next message with this body; what else arrives (a room's subject) is passed over."""
        while True:
            got = await self.inbox.get()
            if got["body"] == body:
                return got


async def step(what, awaitable):
    try:
        result = await asyncio.wait_for(awaitable, TIMEOUT)
    except Exception as error:
        print(f"FAIL  {what}: {error!r}")
        sys.exit(1)
    print(f"ok    {what}")
    return result


async def main(addr, domain, muc, ca_file=None):
    host, _, port = addr.rpartition(":")
    tag = secrets.token_hex(4)
    alice, bob = (Person(f"{name}-{tag}@{domain}", ca_file) for name in ("alice", "bob"))
    for person in (alice, bob):
        person.connect(host, int(port))
        await step(f"{person.boundjid.bare} registers, logs in and reads the roster", person.ready)
    await step("alice pings the server", alice.plugin["xep_0199"].send_ping(slixmpp.JID(domain), timeout=TIMEOUT))
    version = await step("alice asks for the version", alice.plugin["xep_0092"].get_version(slixmpp.JID(domain)))
    print(f"      {version['software_version']['name']} {version['software_version']['version']}")

    alice.send_message(bob.boundjid.bare, f"hello {tag}", mtype="chat")
    got = await step("bob gets alice's message", bob.message(f"hello {tag}"))
    if got["from"].bare != alice.boundjid.bare:
        sys.exit(f"FAIL  the message is from {got['from']}")

    room = slixmpp.JID(f"check-{tag}@{muc}")
    await step("alice makes a room", alice.plugin["xep_0045"].join_muc_wait(room, "alice", timeout=TIMEOUT))
    await step("alice accepts its configuration", alice.plugin["xep_0045"].set_room_config(room, alice.plugin["xep_0004"].make_form("submit")))
    await step("bob joins", bob.plugin["xep_0045"].join_muc_wait(room, "bob", timeout=TIMEOUT))
    bob.send_message(room, f"everybody {tag}", mtype="groupchat")
    for person in (alice, bob):
        got = await step(f"{person.boundjid.user} reads it in the room", person.message(f"everybody {tag}"))
        if got["mucnick"] != "bob":
            sys.exit(f"FAIL  the message is from {got['from']}")
    for person in (alice, bob):
        await person.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
