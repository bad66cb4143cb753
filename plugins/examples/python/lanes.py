"""The protocol: handshake, streams, flow rules, files. Nothing here knows the network. docs/plugin-protocol.md says why."""

import http.client
import itertools
import json
import os
import queue
import socket
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import grpc

import contract as pb

COOKIE = "8f1f6f0e-bridge"
OPS_AT_A_TIME = 256
FRAME = 4 << 20


def log(level, text, **more):
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
    sys.stderr.write(json.dumps({"@timestamp": stamp, "@level": level, "@message": text, **more}) + "\n")
    sys.stderr.flush()


class Refused(Exception):
    """An answer of the contract: for good, or with retry (seconds) for the moment."""

    def __init__(self, code, text, retry=None):
        super().__init__(text)
        self.error = pb.Error(code=code, text=text, temporary=retry is not None, retry_after=int((retry or 0) * 1e6))


def gone():
    """The server is gone: nothing may be acknowledged to the network any more."""
    os._exit(0)


class Window:
    """How far the server lets us number our events."""

    def __init__(self):
        self.edge, self.sent = 0, 0
        self.changed = threading.Condition()

    def grow(self, edge):
        with self.changed:
            self.edge = max(self.edge, edge)
            self.changed.notify_all()

    def take(self, count):
        """The first of count numbers, as soon as they may be used."""
        with self.changed:
            self.changed.wait_for(lambda: self.sent + count <= self.edge)
            first = self.sent + 1
            self.sent += count
            return first


class Lanes:
    """Work in order for each key, and at the same time for different keys."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiting = {}  # key -> what is still to be done; a key that is here has a thread

    def add(self, key, work):
        with self.changed:
            if key in self.waiting:
                self.waiting[key].append(work)
                return
            self.waiting[key] = [work]
        threading.Thread(target=self.run, args=(key,), daemon=True).start()

    def run(self, key):
        while True:
            with self.changed:
                if not self.waiting[key]:
                    del self.waiting[key]
                    self.changed.notify_all()
                    return
                work = self.waiting[key].pop(0)
            work()

    def idle(self, timeout):
        with self.changed:
            self.changed.wait_for(lambda: not self.waiting, timeout)


class Session:
    """The durable lane. Its reader is gRPC's thread of the stream; whoever has something to write puts it into a queue."""

    def __init__(self, window, carry_out):
        self.window, self.carry_out = window, carry_out
        self.out = queue.SimpleQueue()
        self.lanes = Lanes()
        self.lock = threading.Lock()
        self.epoch = 0
        self.open = {}  # first number of a batch -> Future
        self.resolved = 0

    def stream(self, frames):
        threading.Thread(target=self.read, args=(frames,), daemon=True).start()
        yield pb.PluginFrame(accept_ops_to=OPS_AT_A_TIME)
        while True:
            yield self.out.get()

    def read(self, frames):
        try:
            for frame in frames:
                if frame.accept_events_to:
                    self.window.grow(frame.accept_events_to)
                for problem in frame.problems:
                    log("warn", "the server did not take an event", number=problem.number, reason=problem.text)
                for failure in frame.failures:
                    with self.lock:
                        self.epoch = max(self.epoch, failure.epoch)
                    self.settle(failure.first, failure.first, failure.error)
                for r in frame.acks:
                    self.settle(r.first, r.last, None)
                for numbered in frame.ops:
                    self.queue(numbered)
        except grpc.RpcError:
            pass
        finally:
            gone()

    def settle(self, first, last, error):
        with self.lock:
            done = [self.open.pop(n) for n in list(self.open) if first <= n <= last]
        for future in done:
            future.set_result(error)

    def deliver(self, events, cursors):
        """Sends a batch and waits for its end: None if it is durable, else the Error. One batch is under way at a time."""
        count = max(len(events), 1)
        first = self.window.take(count)
        future = Future()
        with self.lock:
            self.open[first] = future
            epoch = self.epoch
        self.out.put(pb.PluginFrame(batches=[pb.Batch(first=first, events=events, cursors=cursors, epoch=epoch)]))
        return future.result()

    def queue(self, numbered):
        head = numbered.op.head
        until = time.monotonic() + numbered.timeout / 1e6 if numbered.timeout else None
        key = (head.portal.login, head.portal.room) if head.portal.room else head.sender.person
        self.lanes.add(key, lambda: self.answer(numbered, until))

    def answer(self, numbered, until):
        result = pb.OpResult(number=numbered.number)
        try:
            if until and time.monotonic() > until:
                raise Refused(pb.CODE_UNAVAILABLE, "it is too late for this", retry=0)
            result.delivered.parts.extend(self.carry_out(numbered.op))
        except Refused as e:
            result.error.CopyFrom(e.error)
        except Exception as e:  # a fault of ours: the outcome is unknown, the rest goes on
            log("error", "operation failed", op=numbered.op.head.id, error=repr(e))
            result.error.CopyFrom(pb.Error(code=pb.CODE_UNAVAILABLE, temporary=True, text="the bridge failed"))
        with self.lock:  # the limit grows in the order in which it is sent
            self.resolved += 1
            self.out.put(pb.PluginFrame(results=[result], accept_ops_to=OPS_AT_A_TIME + self.resolved))


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("host", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Calls:
    """Our requests to the server, and the files that go with them."""

    def __init__(self):
        self.out = queue.SimpleQueue()
        self.ids = itertools.count(1)
        self.open = {}
        self.media_socket = ""

    def stream(self, replies):
        threading.Thread(target=self.read, args=(replies,), daemon=True).start()
        while True:
            yield self.out.get()

    def read(self, replies):
        try:
            for reply in replies:
                if future := self.open.pop(reply.id, None):
                    future.set_result(reply)
        except grpc.RpcError:
            pass

    def ask(self, **request):
        ident, future = next(self.ids), Future()
        self.open[ident] = future
        self.out.put(pb.Call(id=ident, timeout=60_000_000, **request))
        reply = future.result()
        if reply.HasField("error"):
            raise refused(reply.error)
        return reply

    def fetch(self, media, portal, keep):
        """Gives a file of the server's to keep, piece by piece; returns its type and size."""
        token = self.ask(open=pb.MediaRequest(id=media.id, **{"in": portal})).token
        connection = Unix(self.media_socket)
        try:
            connection.request("GET", "/open/" + token)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise http_error(answer)
            size = 0

            def pieces():
                nonlocal size
                while piece := answer.read(64 << 10):
                    size += len(piece)
                    yield piece
                if answer.length:
                    raise http.client.IncompleteRead(b"", answer.length)

            keep(pieces())
            return answer.getheader("Content-Type") or media.type, size
        except (OSError, http.client.HTTPException) as e:
            raise Refused(pb.CODE_UNAVAILABLE, "the file did not arrive", retry=1) from e
        finally:
            connection.close()

    def push(self, token, path, offset, length):
        """Sends a part of a file that the server asked for with FetchMedia."""
        connection = Unix(self.media_socket)
        try:
            with open(path, "rb") as f:
                f.seek(offset)
                connection.putrequest("PUT", "/fetch/" + token)
                connection.putheader("Content-Length", str(length))
                connection.endheaders()
                while length and (piece := f.read(min(length, 64 << 10))):
                    connection.send(piece)
                    length -= len(piece)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass  # the server gave the transfer up, and knows it
        finally:
            connection.close()


def refused(error):
    e = Refused(error.code, error.text)
    e.error.CopyFrom(error)
    return e


def http_error(answer):
    from google.protobuf import json_format

    try:
        return refused(json_format.Parse(answer.read(64 << 10), pb.Error(), ignore_unknown_fields=True))
    except json_format.ParseError:
        return Refused(pb.CODE_PROTOCOL, f"the server answered {answer.status}", retry=1)


def handlers(bridge):
    """The three services: ours, and what go-plugin asks of every plugin."""

    def answer(method, reply):
        def call(request, _):
            try:
                return method(request)
            except Refused as e:
                return reply(error=e.error)

        return call

    def signals(frames, _):
        threading.Thread(target=lambda: [None for _ in frames], daemon=True).start()  # nobody types in a folder
        while True:
            yield bridge.signals.get()

    streams = {"Session": lambda f, _: bridge.session.stream(f), "Signals": signals, "Calls": lambda f, _: bridge.calls.stream(f)}
    methods = {}
    for name, request, reply in pb.methods():
        coding = {"request_deserializer": request.FromString, "response_serializer": reply.SerializeToString}
        if name in pb.STREAMS:
            methods[name] = grpc.stream_stream_rpc_method_handler(streams[name], **coding)
        elif hasattr(bridge, name):
            methods[name] = grpc.unary_unary_rpc_method_handler(answer(getattr(bridge, name), reply), **coding)
    serving = grpc.unary_unary_rpc_method_handler(lambda _r, _c: b"\x08\x01")  # HealthCheckResponse{status: SERVING}
    shutdown = grpc.unary_unary_rpc_method_handler(lambda _r, _c: threading.Timer(0.1, gone).start() or b"")
    return (
        grpc.method_handlers_generic_handler(pb.PACKAGE + "Bridge", methods),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": serving}),
        grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": shutdown}),
    )


def serve(bridge):
    if os.environ.get("VIADUCT_BRIDGE_PLUGIN") != COOKIE:
        sys.exit("This is a plugin of Viaduct; the server starts it. Name it as plugin: in the configuration.")
    if "1" not in os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "1").split(","):
        sys.exit("The server does not speak version 1 of the protocol.")
    if os.environ.get("PLUGIN_CLIENT_CERT"):
        sys.exit("This plugin needs transport: socket.")
    parent = os.getppid()
    os.umask(0o077)
    path = os.path.join(os.environ["PLUGIN_UNIX_SOCKET_DIR"], "plugin.sock")
    server = grpc.server(
        ThreadPoolExecutor(max_workers=32), handlers=handlers(bridge),
        options=[("grpc.max_receive_message_length", FRAME + 4096), ("grpc.max_send_message_length", FRAME + 4096)],
    )
    server.add_insecure_port("unix:" + path)
    server.start()
    print(f"1|1|unix|{path}|grpc|" + ("|false" if "PLUGIN_MULTIPLEX_GRPC" in os.environ else ""), flush=True)
    while os.getppid() == parent:
        time.sleep(0.5)
    gone()
