"""Debian 12's own clients, slixmpp 1.8 and profanity, log in and write to each other; see debian.sh. Exit status 0 only if every step worked."""

import asyncio
import contextlib
import os
import pty
import re
import secrets
import socket
import ssl
import sys
import tempfile

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

    async def on_start(self, _event):
        self.send_presence()
        await self.get_roster()
        if not self.ready.done():
            self.ready.set_result(self.plugin["feature_mechanisms"].mech.name)


class Profanity:
    """The terminal client on a terminal of its own. What it does is read in its log."""

    def __init__(self, home, jid, password, host, port):
        data, config = os.path.join(home, "data"), os.path.join(home, "config")
        os.makedirs(os.path.join(data, "profanity"))
        os.makedirs(config)
        account = {"enabled": "true", "jid": jid, "server": host, "port": port, "password": password, "tls.policy": "trust", "resource": "profanity"}
        with open(os.path.join(data, "profanity", "accounts"), "w", encoding="utf-8") as f:
            f.write(f"[{jid}]\n" + "".join(f"{key}={value}\n" for key, value in account.items()))
        self.log = os.path.join(home, "log")
        environment = {"HOME": home, "XDG_DATA_HOME": data, "XDG_CONFIG_HOME": config, "TERM": "xterm", "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe("profanity", ["profanity", "-l", "DEBUG", "-f", self.log, "-a", jid], environment)
        asyncio.get_running_loop().add_reader(self.terminal, self.drain)

    def drain(self):
        try:
            gone = not os.read(self.terminal, 65536)
        except OSError:  # it has ended
            gone = True
        if gone:
            asyncio.get_running_loop().remove_reader(self.terminal)

    def type(self, line):
        os.write(self.terminal, line.encode() + b"\r")

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
        asyncio.get_running_loop().remove_reader(self.terminal)
        with contextlib.suppress(OSError):
            self.type("/quit")
        os.close(self.terminal)  # a terminal that hangs up ends it in any case
        os.waitpid(self.pid, 0)


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

            async def answer():
                while (await client.inbox.get())["body"] != f"answer {tag}":
                    pass

            await step("slixmpp gets profanity's answer", answer())
        finally:
            terminal.end()
    client.disconnect()
    await asyncio.wait_for(client.disconnected, TIMEOUT)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
