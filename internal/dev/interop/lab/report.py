"""The lines a proof prints, and its verdict."""

import asyncio
import shutil
import time

STEP_TIMEOUT = 20  # seconds that a person would wait for something to appear


class Report:
    """Prints one line for each thing that is proven; the rest goes on after a failure, so that one run shows them all."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self._began = time.monotonic()

    def _line(self, good, what, detail):
        at = time.monotonic() - self._began
        print(f"{'ok   ' if good else 'FAIL '} {at:6.1f} s  {what}{': ' + detail if detail else ''}", flush=True)
        if good:
            self.passed += 1
        else:
            self.failed.append(what)
        return good

    def that(self, what, good, detail=""):
        """States a fact that is known already; the detail is shown if it is wrong."""
        return self._line(bool(good), what, "" if good else str(detail))

    async def wait(self, what, awaitable, timeout=STEP_TIMEOUT):
        """Waits for something; returns what it gave, or None after a failure."""
        try:
            result = await asyncio.wait_for(awaitable, timeout)
        except asyncio.TimeoutError:
            self._line(False, what, f"nothing within {timeout} s")
            return None
        except Exception as error:  # whatever a client library raises is the finding
            self._line(False, what, f"{type(error).__name__}: {error}")
            return None
        self._line(True, what, "")
        return result if result is not None else True

    async def must(self, what, awaitable, timeout=60):
        """Like wait, for what everything after it needs."""
        result = await self.wait(what, awaitable, timeout)
        if result is None:
            raise Abandoned(what)
        return result

    async def each(self, *parts):
        """Goes through the parts of a proof; one that cannot even begin does not keep the others from it."""
        for part in parts:
            try:
                await part
            except Abandoned:
                pass

    def verdict(self, server, folder, name=""):
        """Prints the end of the run; what the server wrote is kept if something failed. Returns the exit status."""
        print(f"{name}{self.passed} ok, {len(self.failed)} failed")
        if not self.failed:
            shutil.rmtree(folder)
            return 0
        for what in self.failed:
            print(f"  FAIL {what}")
        print(f"the server's last lines (all of it: {server.log_file}):\n{server.log_tail(30)}")
        return 1

    def note(self, text):
        print(f"      {time.monotonic() - self._began:6.1f} s  {text}", flush=True)


class Abandoned(Exception):
    """What was to be proven cannot even begin."""


class Record:
    """What one client saw, in its order; what is not there yet can be awaited."""

    def __init__(self):
        self.items = []
        self._more = []

    def add(self, item):
        self.items.append(item)
        waiting, self._more = self._more, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def mark(self):
        """The place from which on things are new."""
        return len(self.items)

    def all(self, match, since=0):
        return [item for item in self.items[since:] if match(item)]

    async def find(self, match, since=0):
        """The first item from a mark on that matches."""
        at = since
        while True:
            while at < len(self.items):
                if match(self.items[at]):
                    return self.items[at]
                at += 1
            future = asyncio.get_running_loop().create_future()
            self._more.append(future)
            await future


async def until(condition, poll=0.1):
    """Waits until something that cannot be awaited is so (asked in short intervals); returns its value."""
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        await asyncio.sleep(poll)
