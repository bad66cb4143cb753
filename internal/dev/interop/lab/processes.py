"""Processes: the server with its bridge, and homeservers, each with a folder and ports of its own, ended by their own pid."""

import asyncio
import ctypes
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE.parent.parent / "peers"
ROOT = HERE.parents[3]
BIN = pathlib.Path(os.environ.get("VIADUCT_BIN_DIR", ROOT / "bin"))
DOMAIN = "v.test"


def free_ports(count):
    """Ports of 127.0.0.1 that are free: they must survive a restart, so the kernel chooses them once."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def die_with_parent():
    """In a child: no server outlives a proof that was interrupted (Linux: PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Homeserver:
    """A real Matrix homeserver, by the scripts of internal/dev/peers."""

    def __init__(self, kind, instance, server_name=None):
        self.kind = kind
        self.http_port, https_port = free_ports(2)
        self.env = dict(os.environ, INSTANCE=instance, ENV_PREFIX="P", HTTP_PORT=str(self.http_port), HTTPS_PORT=str(https_port),
                        USERS="", AS_REGISTRATION="none", SERVER_NAME=server_name or f"localhost:{https_port}")
        self.server_name = self.env["SERVER_NAME"]
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.pid = None
        self.log = None

    def _script(self, name, *args):
        return subprocess.run([str(PEERS / self.kind / name), *args], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    async def _run(self, name, *args):
        done = await asyncio.to_thread(self._script, name, *args)
        if done.returncode:
            raise RuntimeError(f"{self.kind}: {name}: {done.stderr.strip()[-2000:]}")
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    async def start(self, registration=None):
        if registration is not None:
            self.env["AS_REGISTRATION"] = str(registration)
        lines = await self._run("start.sh")
        self.pid = int(lines["P_PID"])
        self.log = shlex.split(lines["P_LOG"])[0]

    async def stop(self):
        await self._run("stop.sh")

    async def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        await ended(self.pid)

    def wipe(self):
        self._script("stop.sh", "--wipe")


class Viaduct:
    """The server of this tree with the bridge to one homeserver, as an operator runs it."""

    def __init__(self, folder, homeserver, allow=None, extra="", web=False):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "viaduct.yaml"
        self.registration = self.folder / "matrix-registration.yaml"
        self.log_file = self.folder / "server.log"
        self.c2s_port, admin_port, appservice_port, self.https_port = free_ports(4)
        self.process = None
        self.since = None
        https, public = (f'"127.0.0.1:{self.https_port}"', f"public_url: https://{DOMAIN}:{self.https_port}\n") if web else ("", "")
        allowed = "" if allow is None else f"\n    allow: {{use: [{', '.join(allow)}]}}"
        self.config.write_text(f"""\
domains: [{DOMAIN}]
{public}data_dir: data
listen: {{c2s: ["127.0.0.1:{self.c2s_port}"], c2s_tls: [], s2s: [], s2s_tls: [], http: [], https: [{https}], admin: ["127.0.0.1:{admin_port}"], component: []}}
log: {{level: debug}}
bridges:
  - name: matrix
    plugin: matrix{allowed}
    config:
      homeserver: "{homeserver.url}"
      registration_file: {self.registration.name}
      listen: "127.0.0.1:{appservice_port}"
      url: "http://127.0.0.1:{appservice_port}"
{extra}""")
        self.config.chmod(0o600)

    @property
    def ca_file(self):
        return self.folder / "data" / "tls" / "ca.crt"

    async def command(self, *args, stdin=None):
        """Runs the command line and returns what it prints."""
        child = await asyncio.create_subprocess_exec(
            str(BIN / "viaduct"), "--config", str(self.config), *args, preexec_fn=die_with_parent,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await asyncio.wait_for(child.communicate((stdin or "").encode()), 60)
        if child.returncode:
            raise RuntimeError(f"viaduct {' '.join(args)}: {err.decode().strip() or out.decode().strip()}")
        return out.decode()

    async def add_account(self, name, *flags):
        password = f"secret of {name}"
        await self.command("user", "add", f"{name}@{DOMAIN}", "--password-file", "-", *flags, stdin=password + "\n")
        return password

    async def start(self):
        """Starts the server and returns when it says that it serves."""
        with open(self.log_file, "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(BIN / "viaduct"), "--config", str(self.config), "serve", preexec_fn=die_with_parent,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log)
        while True:
            line = await asyncio.wait_for(self.process.stdout.readline(), 60)
            if not line:
                raise RuntimeError(f"the server did not start: {self.log_tail(5)}")
            if line.startswith(b"Stop:"):
                self.since = time.monotonic()
                return

    def running(self):
        """Seconds since the last start."""
        return time.monotonic() - self.since

    def requests(self, path):
        """How many requests the bridge has made to the homeserver whose path ends so, by its log."""
        with open(self.log_file, errors="replace") as log:
            return sum('msg="request to the homeserver"' in line and re.search(rf"path=\S*{re.escape(path)}(\s|$)", line) is not None for line in log)

    async def kill(self):
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self):
        if self.process and self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(self.process.wait(), 40)
            except asyncio.TimeoutError:
                await self.kill()
                raise

    def plugin_pid(self, plugin="matrix"):
        """A bridge's process, found as an operator would: a child of the server. None while there is none."""
        if self.process is None or self.process.returncode is not None:
            return None
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            name, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat[stat.rindex(")") + 2:].split()
            if int(rest[1]) == self.process.pid and name.startswith(f"viaduct-{plugin}"[:15]) and rest[0] != "Z":
                return int(pid)
        return None

    def log_tail(self, lines=40):
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except OSError as error:
            return str(error)

    def trouble(self):
        """What the server logged as warnings and errors."""
        try:
            text = self.log_file.read_text(errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if re.search(r"level=(WARN|ERROR)", line)]


async def ended(pid, patience=10.0):
    """Waits for the end of a process that may be somebody else's child; TimeoutError if it lives on."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
        except OSError:
            return
        await asyncio.sleep(0.02)
    raise asyncio.TimeoutError(f"process {pid} has not ended")
