"""An open load: requests come when they are due, whatever became of those before. Each carries samples that were not sent
before; one that is refused is not sent again, its body goes out with another turn, as from senders that retry."""

import asyncio
import collections
import time

import harness

TIME_BYTES = 6  # of a time of these decades in milliseconds, as a varint


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Bodies:
    """Requests of `batch` series each, over `groups` groups of series; the rounds of a group are a second apart."""

    def __init__(self, batch, groups, count, first_ms):
        import snappy

        writer = harness.Writer(harness.load_protos(), "")
        mark = varint(first_ms)
        assert len(mark) == TIME_BYTES
        templates = []
        for group in range(groups):
            rows = [({"__name__": "open_load", "group": str(group), "instance": f"host-{i:05}:9100", "job": "load"},
                     [(first_ms, float(i))]) for i in range(batch)]
            templates.append(writer.request(rows).SerializeToString())
            assert templates[-1].count(b"\x10" + mark) == batch
        self.samples = batch
        self.ready = collections.deque(
            snappy.compress(templates[k % groups].replace(b"\x10" + mark, b"\x10" + varint(first_ms + k // groups * 1000)))
            for k in range(count))


class Outcome:
    """What became of the requests of one phase."""

    def __init__(self):
        self.began = time.monotonic()
        self.seconds = 0.0
        self.due = self.unsent = 0  # unsent: no connection was free when they were due
        self.answers = []  # (seconds since the phase began, status or None, latency)

    def of(self, *statuses):
        return [(at, latency) for at, status, latency in self.answers if status in statuses]

    def rate(self, status=204):
        return len(self.of(status)) / self.seconds

    def percentile(self, share, status=204):
        latencies = sorted(latency for _, latency in self.of(status))
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else float("nan")


class Connection:
    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def post(self, body):
        """The status; None where the connection broke."""
        try:
            if self.writer is None:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.writer.write((f"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                               f"Content-Encoding: snappy\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body)
            head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)).decode().lower()
            length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
            await self.reader.readexactly(length)
            if "connection: close" in head:
                self.close()
            return int(head.split(" ", 2)[1])
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            self.close()
            return None

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None


async def one(connection, idle, bodies, outcome, begin):
    body = bodies.ready.popleft()
    status = await connection.post(body)
    now = time.monotonic()
    outcome.answers.append((now - outcome.began, status, now - begin))
    if status != 204:
        bodies.ready.append(body)
    idle.append(connection)


async def _run(port, bodies, seconds, rate, connections):
    outcome, idle, tasks = Outcome(), [Connection(port) for _ in range(connections)], set()
    every = list(idle)
    while (now := time.monotonic()) < outcome.began + seconds:
        # without a rate, as many as there are connections
        due = outcome.due + len(idle) if rate is None else int((now - outcome.began) * rate)
        for _ in range(outcome.due, due):
            if not idle or not bodies.ready:
                outcome.unsent += 1
                continue
            task = asyncio.ensure_future(one(idle.pop(), idle, bodies, outcome, time.monotonic()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        outcome.due = due
        await asyncio.sleep(0.002)
    outcome.seconds = time.monotonic() - outcome.began
    if tasks:
        await asyncio.wait(tasks, timeout=60)
    for connection in every:
        connection.close()
    return outcome


def run(port, bodies, seconds, rate=None, connections=8):
    """rate: requests a second; None: the next as soon as a connection is free."""
    return asyncio.run(_run(port, bodies, seconds, rate, connections))


def seconds_to_recover(outcome, rate):
    """From the phase's begin to the first whole second in which nothing was refused and 95 % of the rate was stored; None."""
    for second in range(int(outcome.seconds)):
        within = [status for at, status, _ in outcome.answers if second <= at < second + 1]
        if within and set(within) == {204} and len(within) >= 0.95 * rate:
            return second
    return None
