"""What ends a query before its answer: a client that goes away, and each of the limits, which the error names."""

import socket
import struct
import time
import urllib.parse
from pathlib import Path

import pytest

import harness

SERIES, SAMPLES, INTERVAL = 20_000, 200, 15_000
START = 1_700_000_000_000
END = START + SAMPLES * INTERVAL
# A sanitizer makes every step between two looks at the clock some times as long.
CANCELED_WITHIN_S = 0.1 * (5 if "san" in harness.BUILD.name else 1)


def field(number, payload):
    return bytes([number << 3 | 2]) + varint(len(payload)) + payload


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def label(name, value):
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def many_series(first, count):
    """A write request of `count` series with the same samples."""
    samples = b"".join(field(2, b"\x09" + struct.pack("<d", i * 1.25) + b"\x10" + varint(START + i * INTERVAL))
                       for i in range(SAMPLES))
    rows = (label("__name__", "many") + label("group", str(i % 100)) + label("id", f"{i:06}") + samples
            for i in range(first, first + count))
    return b"".join(field(1, row) for row in rows)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    import snappy

    (port,) = harness.free_ports(1)
    node = harness.Node("all", "limits", port, tmp_path_factory.mktemp("limits"), [
        "--storage.retention=10y", "--query.max-samples=2000000000", "--query.max-memory-bytes=8GiB",
        "--query.max-fetched-bytes=8GiB", "--query.max-inflight-bytes=8GiB"])
    node.start().wait_ready()
    try:
        for first in range(0, SERIES, 1000):
            answer = harness.http("POST", node.url + "/api/v1/write", snappy.compress(many_series(first, 1000)), {
                "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Write-Version": "0.1.0"}, timeout=120)
            assert answer.status == 204, answer.text
        yield node
    finally:
        node.kill()


def in_flight(node):
    return node.metric("narthex_query_in_flight")


def path_of(query, kind):
    params = {"query": query, "start": START / 1000, "end": END / 1000, "step": INTERVAL // 1000}
    if kind == "instant":
        params = {"query": query, "time": END / 1000}
    return f"/api/v1/query{'_range' if kind == 'range' else ''}?{urllib.parse.urlencode(params)}"


def cpu_seconds(node):
    """Of all threads so far."""
    tasks = Path(f"/proc/{node.child.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def seconds_to_cancel(node, path, after_s):
    """How long a query runs on when its client goes away `after_s` into it, or how much work it did since where that is
    less: beside other programs the clock runs on while nothing of the node does. None where it had ended before."""
    harness.wait_until(lambda: in_flight(node) == 0, 20, "an idle querier")
    connection = socket.create_connection(("127.0.0.1", node.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    time.sleep(after_s)
    running = in_flight(node)
    begun, worked = time.monotonic(), cpu_seconds(node)
    connection.close()
    while in_flight(node):
        assert time.monotonic() - begun < 20
        time.sleep(0.001)
    return min(time.monotonic() - begun, cpu_seconds(node) - worked) if running else None


@pytest.mark.parametrize("query, kind", [
    ("many", "range"),
    ("many[50m]", "instant"),
    ("many + on (id) many", "range"),
    ("max_over_time(sum(many)[50m:1s])", "instant"),
    ("sort_desc(many)", "instant"),
    ("count_values('v', many)", "range"),
    ("label_replace(many, 'x', '$1-y', 'id', '(.*)0')", "range"),
    ("sum by (id) (many{id=~'.*1.*|.*2.*'})", "range"),
    ("quantile_over_time(0.9, many[40m])", "range"),
    ("histogram_quantile(0.9, label_replace(many, 'le', '$1', 'group', '(.*)'))", "range"),
])
def test_gone_client_cancels_its_query(loaded, query, kind):
    """While it is fetched, evaluated and written."""
    path = path_of(query, kind)
    seen = 0
    for after_s in (0.01, 0.05, 0.1, 0.2, 0.4):
        # A busy machine may delay one try, not each of three.
        tries = [seconds_to_cancel(loaded, path, after_s)]
        while tries[-1] is not None and tries[-1] > CANCELED_WITHIN_S and len(tries) < 3:
            tries.append(seconds_to_cancel(loaded, path, after_s))
        if tries[-1] is not None:
            assert min(t for t in tries if t is not None) <= CANCELED_WITHIN_S, f"after {after_s} s: {tries}"
            seen += 1
    assert seen >= 2, "the query is too short to be cancelled"


def test_canceled_queries_are_counted(loaded):
    before = loaded.metric("narthex_query_responses_total", outcome="canceled")
    assert seconds_to_cancel(loaded, path_of("max_over_time(sum(many)[50m:1s])", "instant"), 0.1) is not None
    assert loaded.metric("narthex_query_responses_total", outcome="canceled") == before + 1


@pytest.fixture
def limited(tmp_path, remote_pb2):
    """A function that starts a node with these flags and some series."""
    import snappy

    started = []

    def start(*flags):
        (port,) = harness.free_ports(1)
        node = harness.Node("all", "limited", port, tmp_path, ["--storage.retention=10y", *flags])
        started.append(node)
        node.start().wait_ready()
        answer = harness.http("POST", node.url + "/api/v1/write", snappy.compress(many_series(0, 500)), {
            "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0"})
        assert answer.status == 204, answer.text
        return node

    yield start
    for node in started:
        node.kill()


@pytest.mark.parametrize("flag, query, params, status, kind, text", [
    ("--query.max-samples=1000", "many", {}, 422, "execution",
     "query processing would load too many samples into memory in query execution"),
    ("--query.max-memory-bytes=1MiB", "many", {}, 422, "execution", "(query.max-memory-bytes)"),
    ("--query.max-fetched-bytes=64KiB", "many", {}, 422, "execution", "query.max-fetched-bytes"),
    ("--query.timeout=20ms", "max_over_time(sum(many)[50m:100ms])", {}, 503, "timeout", "query timed out in "),
    ("--query.timeout=2m", "max_over_time(sum(many)[50m:100ms])", {"timeout": "20ms"}, 503, "timeout",
     "query timed out in "),
    ("--query.timeout=2m", "many", {"step": "0.1"}, 400, "bad_data",
     "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"),
    ("--query.timeout=2m", "(" * 5000 + "1" + ")" * 5000, {}, 400, "bad_data", "nest"),
    ("--query.max-query-bytes=1KiB", "1 + " * 500 + "1", {}, 400, "bad_data", "(query.max-query-bytes)"),
])
def test_limit_is_named(limited, flag, query, params, status, kind, text):
    """Statuses are Prometheus's: 422 for what an evaluation runs into, 503 for its time, 400 for what a request says."""
    node = limited(flag)
    answer = node.post("/api/v1/query_range", {"query": query, "start": START / 1000, "end": END / 1000,
                                               "step": INTERVAL // 1000, **params})
    assert (answer.status, answer.json["errorType"]) == (status, kind), answer.text[:500]
    assert text in answer.json["error"]
    assert node.post("/api/v1/query", {"query": "1", "time": "4"}).status == 200
