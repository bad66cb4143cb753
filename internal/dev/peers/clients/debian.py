"""Debian 12's own clients, slixmpp 1.8 and profanity, log in, write to each other and meet in a room, which profanity must show on its screen;
see debian.sh. Exit status 0 only if every step worked."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import secrets
import signal
import socket
import ssl
import struct
import sys
import tempfile
import termios
import time

import pyte
import slixmpp

TIMEOUT = 40  # seconds for one step


def say(good, what):
    print(f"{'ok  ' if good else 'FAIL'}  {what}", flush=True)
    if not good:
        sys.exit(1)


def register(host, port, domain, user, password):
    """XEP-0077 before login, by hand: neither client can do it with a password of our choice (slixmpp 1.8 holds stanzas back until it is bound)."""
    header = f"<stream:stream to='{domain}' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>".encode()

    def talk(conn, data, until):
        conn.sendall(data)
        got = b""
        while not re.search(until, got):
            more = conn.recv(65536)
            if not more:
                raise RuntimeError(f"the server closed the stream: {got!r}")
            got += more
        return got

    with socket.create_connection((host, port), TIMEOUT) as plain:
        talk(plain, header, b"</stream:features>")
        talk(plain, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"<proceed[^>]*>")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain, server_hostname=domain) as conn:
            talk(conn, header, b"</stream:features>")
            query = f"<query xmlns='jabber:iq:register'><username>{user}</username><password>{password}</password></query>"
            got = talk(conn, f"<iq type='set' id='r'>{query}</iq>".encode(), b"<iq[^>]*(/>|>.*</iq>)")
            if not re.search(rb"type=['\"]result['\"]", got):
                raise RuntimeError(f"registration refused: {got!r}")
            conn.sendall(b"</stream:stream>")


class Slixmpp(slixmpp.ClientXMPP):
    """The library as Debian has it, with nothing set that concerns mechanisms."""

    def __init__(self, jid, password):
        super().__init__(jid, password)
        loop = asyncio.get_running_loop()
        self.ready, self.inbox, self.tried = loop.create_future(), asyncio.Queue(), []
        self.register_plugin("xep_0045")
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.inbox.put_nowait)
        self.add_event_handler("failed_auth", lambda _stanza: self.tried.append(self.plugin["feature_mechanisms"].mech.name))
        for event in ("failed_all_auth", "connection_failed", "disconnected", "stream_error"):
            self.add_event_handler(event, lambda why, event=event: self.fail(f"{event}: {why}"))

    def fail(self, why):
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(f"{why}; refused before: {self.tried}"))

    async def hears(self, body):
        while (await self.inbox.get())["body"] != body:
            pass

    async def on_start(self, _event):
        self.send_presence()
        await self.get_roster()
        if not self.ready.done():
            self.ready.set_result(self.plugin["feature_mechanisms"].mech.name)


class Profanity:
    """The terminal client on a terminal of its own. What it does is read in its log, what a person sees on its screen."""

    LINES, COLUMNS = 40, 140

    def __init__(self, home, jid, password, host, port):
        data, config = os.path.join(home, "data"), os.path.join(home, "config")
        os.makedirs(os.path.join(data, "profanity"))
        os.makedirs(config)
        account = {"enabled": "true", "jid": jid, "server": host, "port": port, "password": password, "tls.policy": "trust", "resource": "profanity"}
        with open(os.path.join(data, "profanity", "accounts"), "w", encoding="utf-8") as f:
            f.write(f"[{jid}]\n" + "".join(f"{key}={value}\n" for key, value in account.items()))
        self.log = os.path.join(home, "log")
        environment = {"HOME": home, "XDG_DATA_HOME": data, "XDG_CONFIG_HOME": config, "TERM": "xterm", "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
        self.screen = pyte.Screen(self.COLUMNS, self.LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe("profanity", ["profanity", "-l", "DEBUG", "-f", self.log, "-a", jid], environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", self.LINES, self.COLUMNS, 0, 0))
        asyncio.get_running_loop().add_reader(self.terminal, self.draw)

    def draw(self):
        try:
            wrote = os.read(self.terminal, 65536)
        except OSError:  # it has ended
            wrote = b""
        if wrote:
            self.stream.feed(wrote)
        else:
            asyncio.get_running_loop().remove_reader(self.terminal)

    def picture(self):
        """What is on the screen, as text."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    async def shows(self, pattern):
        """Waits until the screen shows this, and returns the line."""
        while not (found := re.search(f".*(?:{pattern}).*", self.picture(), re.MULTILINE)):
            await asyncio.sleep(0.1)
        return found.group(0)

    def type(self, line):
        os.write(self.terminal, line.encode() + b"\r")

    async def lacks(self, pattern):
        """Waits until the screen no longer shows this."""
        while re.search(pattern, self.picture(), re.MULTILINE):
            await asyncio.sleep(0.1)

    async def logged(self, pattern):
        """Waits until the log has a line like this, and returns it."""
        while True:
            with contextlib.suppress(FileNotFoundError):
                with open(self.log, encoding="utf-8", errors="replace") as f:
                    for line in f:
                        if re.search(pattern, line):
                            return line
            await asyncio.sleep(0.1)

    def end(self):
        """Quits. It does not always notice that its terminal is gone, so it is not waited for longer than a moment."""
        asyncio.get_running_loop().remove_reader(self.terminal)
        with contextlib.suppress(OSError):
            self.type("/quit")
        for _ in range(30):
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                break
            time.sleep(0.1)
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)


async def meet(client, terminal, room, tag):
    """A room that slixmpp makes; profanity joins it, shows it, speaks, and sees slixmpp leave."""
    muc = client.plugin["xep_0045"]
    client.add_event_handler("groupchat_message", client.inbox.put_nowait)
    inside = asyncio.get_running_loop().create_future()
    client.add_event_handler(f"muc::{room}::self-presence", lambda _: inside.done() or inside.set_result(None))
    muc.join_muc(room, "Host")
    await step("slixmpp makes a room", inside)
    # A room is locked until its owner accepts what it is (XEP-0045 section 10.1.2).
    form = f"<iq xmlns='jabber:client' type='set' to='{room}' id='unlock'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>"
    iq = client.Iq(xml=slixmpp.xmlstream.ET.fromstring(form))
    await step("slixmpp unlocks it", asyncio.ensure_future(iq.send()))
    client.send_message(room, f"first {tag}", mtype="groupchat")
    await step("slixmpp hears itself", client.hears(f"first {tag}"))
    terminal.type(f"/join {room} nick Guest")
    await step("profanity shows the room", terminal.shows(rf"shown-{tag} .*\[online\]"))
    await step("profanity shows what was said before", terminal.shows(f"Host: first {tag}"))
    await step("profanity lists who is there", terminal.shows(r"\bHost *$"))
    client.send_message(room, f"second {tag}", mtype="groupchat")
    await step("profanity shows what is said", terminal.shows(f"Host: second {tag}"))
    terminal.type(f"spoken {tag}")
    await step("slixmpp hears profanity", client.hears(f"spoken {tag}"))
    await step("profanity shows its own words", terminal.shows(f"Guest: spoken {tag}"))
    subject = client.make_message(mto=room, mtype="groupchat", msubject=f"topic {tag}")
    subject.send()
    await step("profanity shows the subject", terminal.shows(f"topic {tag}"))
    print(terminal.picture())
    muc.leave_muc(room, "Host")
    await step("profanity no longer lists who has left", terminal.lacks(r"\bHost *$"))


async def step(what, awaitable):
    try:
        result = await asyncio.wait_for(awaitable, TIMEOUT)
    except Exception as error:
        say(False, f"{what}: {error!r}")
    say(True, what)
    return result


async def main(addr, domain):
    host, _, port = addr.rpartition(":")
    tag = secrets.token_hex(4)
    people = {f"{name}-{tag}": secrets.token_hex(8) for name in ("slix", "prof")}
    for user, password in people.items():
        register(host, int(port), domain, user, password)
    (slix, slix_password), (prof, prof_password) = people.items()

    client = Slixmpp(f"{slix}@{domain}", slix_password)
    client.connect((host, int(port)))
    used = await step(f"slixmpp {slixmpp.__version__} logs in", client.ready)
    print(f"      {used}, after {', '.join(client.tried) or 'nothing else'}")
    with tempfile.TemporaryDirectory() as home:
        terminal = Profanity(home, f"{prof}@{domain}", prof_password, host, port)
        try:
            await step("profanity logs in", terminal.logged(r"RECV: <success"))
            await step("profanity has its roster", terminal.logged(r'RECV: <iq [^>]*id="roster"[^>]*type="result"|RECV: <iq [^>]*type="result"[^>]*id="roster"'))
            print("      " + re.search(r'mechanism="([^"]*)"', await terminal.logged(r"SENT: <auth")).group(1))
            client.send_message(f"{prof}@{domain}", f"hello {tag}", mtype="chat")
            await step("profanity gets slixmpp's message", terminal.logged(f"RECV: <message.*hello {tag}"))
            terminal.type(f"/msg {slix}@{domain} answer {tag}")

            await step("slixmpp gets profanity's answer", client.hears(f"answer {tag}"))
            try:
                await meet(client, terminal, f"shown-{tag}@rooms.{domain}", tag)
            except SystemExit:
                print(terminal.picture())
                raise
        finally:
            terminal.end()
    client.disconnect()
    await asyncio.wait_for(client.disconnected, TIMEOUT)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
