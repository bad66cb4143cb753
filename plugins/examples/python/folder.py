"""The network that viaduct-echo bridges: a folder.

people.json says who there is: {"ann": "Ann", ...}. Each NAME.jsonl is a room; each line of it is a message, written at once:
{"id": "m1", "by": "ann", "text": "hello", "at": 1790000000.5}. Whoever can append a line takes part, a shell as well:

    echo '{"id": "'$RANDOM$RANDOM'", "by": "ann", "text": "hello", "at": '$(date +%s)'}' >> lobby.jsonl

A message may have a "file": {"id": ..., "name": ..., "type": ..., "size": ...}; its bytes are files/ID. What the bridge writes
has the "name" of its author and the "op" that it came from.
"""

import json
import os
import re
import threading
import time

NAME = re.compile(r"[a-z0-9-]{1,64}")


class Gone(Exception):
    """The folder is not there: the network cannot be reached."""


class Folder:
    def __init__(self, path):
        self.path = path
        self._lock = threading.Lock()
        self._ops = {}  # room -> (how much of it was read, op -> ids of messages)

    def check(self):
        if not os.path.isdir(self.path):
            raise Gone(self.path)

    def people(self):
        self.check()
        try:
            with open(os.path.join(self.path, "people.json"), encoding="utf-8") as f:
                return {"echo": "Echo", **json.load(f)}
        except FileNotFoundError:
            return {"echo": "Echo"}

    def rooms(self):
        self.check()
        return sorted(n[:-6] for n in os.listdir(self.path) if n.endswith(".jsonl") and NAME.fullmatch(n[:-6]))

    def has(self, room):
        return room in self.rooms()

    def size(self, room):
        return os.path.getsize(self._room(room))

    def _room(self, room):
        return os.path.join(self.path, room + ".jsonl")

    def read(self, room, offset, most):
        """The messages after offset (None: no JSON), and the offset after each. A line that is still being written is left."""
        out = []
        with open(self._room(room), "rb") as f:
            f.seek(offset)
            for line in f:
                if not line.endswith(b"\n") or len(out) == most:
                    break
                offset += len(line)
                try:
                    message = json.loads(line)
                except ValueError:
                    message = None
                out.append((message if isinstance(message, dict) else None, offset))
        return out

    def done(self, room, op):
        """The messages that an op has become, also if that was an earlier instance, which was killed."""
        with self._lock:
            read, ops = self._ops.get(room, (0, {}))
            while page := self.read(room, read, 1000):
                for message, read in page:
                    if message and "op" in message:
                        ops.setdefault(message["op"], []).append(message)
            self._ops[room] = read, ops
            return ops.get(op)

    def write(self, room, messages):
        """Appends messages in one piece: all of them are there, or none."""
        with self._lock:
            lines = "".join(json.dumps(m, ensure_ascii=False) + "\n" for m in messages).encode()
            with open(self._room(room), "ab", buffering=0) as f:
                f.write(lines)
                os.fsync(f.fileno())

    def file(self, ident):
        """The path of a file's bytes, or None."""
        path = os.path.join(self.path, "files", ident)
        return path if NAME.fullmatch(ident) and os.path.isfile(path) else None

    def keep(self, ident, chunks):
        """Keeps a file; under its name it is there whole, or not at all."""
        self.check()
        os.makedirs(os.path.join(self.path, "files"), exist_ok=True)
        path = os.path.join(self.path, "files", ident)
        with open(path + ".new", "wb") as f:
            for chunk in chunks:
                f.write(chunk)
        os.replace(path + ".new", path)

    def watch(self, stop):
        """Yields again and again, soon after something may have changed."""
        while not stop.wait(0.02):
            yield time.time()
