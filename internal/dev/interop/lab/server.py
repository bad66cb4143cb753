"""The server by itself, without a bridge, with everything that clients of today use switched on."""

import pathlib
import socket
import ssl

import aiohttp
import aiohttp.abc

from .processes import DOMAIN, Viaduct, free_ports


class Server(Viaduct):
    """The server of this tree on ports that the kernel chose: streams in the clear that become TLS, and HTTPS."""

    def __init__(self, folder, extra=""):  # pylint: disable=super-init-not-called # the other one is for bridges
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "viaduct.yaml"
        self.log_file = self.folder / "server.log"
        self.c2s_port, self.https_port, admin_port = free_ports(3)
        self.process = None
        self.since = None
        self.config.write_text(f"""\
domains: [{DOMAIN}]
public_url: https://{DOMAIN}:{self.https_port}
data_dir: data
listen: {{c2s: ["127.0.0.1:{self.c2s_port}"], c2s_tls: [], s2s: [], s2s_tls: [], http: [], https: ["127.0.0.1:{self.https_port}"], admin: ["127.0.0.1:{admin_port}"], component: []}}
log: {{level: info}}
bridges: []
{extra}""")
        self.config.chmod(0o600)

    def browse(self):
        """A session of HTTP that trusts the server's own authority and finds its name on this machine."""
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, resolver=Here()))


class Here(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self):
        """Nothing is held."""
