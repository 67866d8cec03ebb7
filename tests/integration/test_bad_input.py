"""What bad input gets: a clear error, a process that lives, and memory that stays bounded."""

import socket
import struct
import time

import pytest

import harness

NOW_MS = int(time.time()) * 1000


@pytest.fixture(scope="module")
def writer(single, remote_pb2):
    return harness.Writer(remote_pb2, single.url)


@pytest.fixture(autouse=True)
def lives_and_stays_small(single):
    yield
    assert single.ready()
    assert single.resident_bytes() < 1 << 30


def sample(i=0):
    return [(NOW_MS + i, 1.0)]


@pytest.mark.parametrize("body", [b"", b"\x00", b"garbage" * 100, bytes(range(256)) * 10])
def test_garbage_body_is_400(writer, body):
    answer = writer.send_raw(body)
    assert answer.status in (204, 400) if body in (b"", b"\x00") else answer.status == 400
    if answer.status == 400:
        assert answer.text.strip()


def test_truncated_snappy_is_400_at_every_cut(writer):
    body = writer.encode([({"__name__": "cut", "a": "b"}, sample())])
    for cut in range(1, len(body)):
        answer = writer.send_raw(body[:cut])
        assert answer.status == 400, cut
        assert "snappy" in answer.text or "protobuf" in answer.text


def test_length_header_of_4_gib_is_refused_before_memory_is_taken(writer, single):
    before = single.resident_bytes()
    answer = writer.send_raw(b"\xff\xff\xff\xff\x0f" + b"x" * 100)
    assert answer.status in (400, 413)
    assert single.resident_bytes() - before < 64 << 20


def test_truncated_protobuf_is_400(writer):
    import snappy

    raw = writer.request([({"__name__": "cut", "a": "b"}, sample())]).SerializeToString()
    for cut in range(1, len(raw)):
        assert writer.send_raw(snappy.compress(raw[:cut])).status == 400, cut


@pytest.mark.parametrize(
    "labels, names",
    [
        ({"a": "b"}, "metric name"),
        ({}, "metric name"),
        ({"__name__": "m" * 100000}, "length"),
        ({"__name__": "wide", **{f"l{i:05}": "v" for i in range(10000)}}, "label"),
        ({"__name__": "long", "a": "v" * 100000}, "length"),
    ],
)
def test_invalid_series_is_400_and_named(writer, labels, names):
    answer = writer.send([(labels, sample())])
    assert answer.status == 400
    assert names in answer.text or "label" in answer.text


def test_valid_series_of_a_partly_invalid_request_are_stored(writer, single):
    answer = writer.send([
        ({"__name__": "partly", "ok": "1"}, sample()),
        ({"no_name": "x"}, sample()),
        ({"__name__": "partly", "ok": "2"}, sample()),
    ])
    assert answer.status == 400
    assert "metric name" in answer.text
    assert "no_name" in answer.text
    result = single.query("count(partly)", NOW_MS / 1000)
    assert result[0]["value"][1] == "2"


@pytest.mark.parametrize("t", [-(2**63), 2**63 - 1, NOW_MS + 24 * 3600 * 1000])
def test_timestamps_out_of_bounds_are_400(writer, t):
    answer = writer.send([({"__name__": "bounds"}, [(t, 1.0)])])
    assert answer.status == 400
    assert "out of bounds" in answer.text or "too far" in answer.text or "too old" in answer.text


def test_invalid_utf8_is_400(writer):
    import snappy

    def field(number, payload):
        return bytes([number << 3 | 2, len(payload)]) + payload

    label = field(1, b"__name__") + field(2, b"bad\xff")
    body = field(1, field(1, label) + field(2, b"\x09" + struct.pack("<d", 1) + b"\x10\x01"))
    answer = writer.send_raw(snappy.compress(body))
    assert answer.status == 400
    assert "UTF-8" in answer.text


def test_unsorted_labels_are_sorted_and_duplicates_refused(writer, single):
    request = writer.pb.WriteRequest()
    row = request.timeseries.add()
    for name, value in (("z", "1"), ("__name__", "unsorted"), ("a", "2"), ("empty", "")):
        row.labels.add(name=name, value=value)
    row.samples.add(timestamp=NOW_MS, value=7.0)
    assert writer.send_raw(writer.snappy.compress(request.SerializeToString())).status == 204
    assert single.query("unsorted", NOW_MS / 1000)[0]["metric"] == {
        "__name__": "unsorted", "a": "2", "z": "1"}
    row.labels.add(name="a", value="3")
    answer = writer.send_raw(writer.snappy.compress(request.SerializeToString()))
    assert answer.status == 400
    assert "duplicate" in answer.text


def test_duplicate_sample_is_fine_and_conflict_is_400(writer, single):
    series = ({"__name__": "dup"}, [(NOW_MS, 1.0)])
    assert writer.send([series]).status == 204
    assert writer.send([series]).status == 204
    answer = writer.send([({"__name__": "dup"}, [(NOW_MS, 2.0)])])
    assert answer.status == 400
    assert "duplicate sample for timestamp" in answer.text
    assert single.query("dup", NOW_MS / 1000)[0]["value"][1] == "1"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "image/png"},
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "deflate"},
        {"Content-Type": "application/x-protobuf;proto=unknown.Message"},
    ],
)
def test_wrong_content_headers_are_415_even_with_a_corrupt_body(writer, headers):
    assert writer.send_raw(b"corrupt", headers).status == 415


def test_get_on_write_is_405(single):
    answer = single.get("/api/v1/write")
    assert answer.status == 405
    assert "POST" in answer.headers["Allow"]


def test_write_reports_no_written_counts_for_1_0(writer):
    answer = writer.send([({"__name__": "counts"}, sample())])
    assert answer.status == 204
    assert answer.headers.get("X-Prometheus-Remote-Write-Samples-Written", "0") == "0"


def test_half_a_request_then_silence_holds_nothing_up(single, writer):
    socks = []
    for _ in range(50):
        sock = socket.create_connection(("127.0.0.1", single.port))
        sock.sendall(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
        socks.append(sock)
    assert writer.send([({"__name__": "meanwhile"}, sample())]).status == 204
    for sock in socks:
        sock.close()


def test_body_beyond_the_limit_is_413_at_once(single):
    sock = socket.create_connection(("127.0.0.1", single.port))
    sock.sendall(
        b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Encoding: snappy\r\nContent-Length: 99999999999\r\n\r\n"
    )
    assert sock.recv(64).startswith(b"HTTP/1.1 413")
    sock.close()


@pytest.mark.parametrize(
    "query",
    [
        "(" * 100000 + "1" + ")" * 100000,
        "-" * 100000 + "1",
        "a" * (1 << 20),
        "up" + "[5m:1m]" * 10000,
        "sum(" * 50000,
        "\x00", "\xff", "{", "}", "up{", "up[", 'up{a=~"("}', 'up{a=~"(a+)+$"',
    ],
)
def test_hostile_queries_get_an_error_with_a_position(single, query):
    begin = time.monotonic()
    answer = single.post("/api/v1/query", {"query": query})
    assert time.monotonic() - begin < 10
    assert answer.status in (200, 400, 413, 422), answer.text[:300]
    if answer.status != 413 and answer.status != 200:
        assert answer.json["status"] == "error"
        assert answer.json["error"]


def test_selector_beyond_a_message_says_so(single):
    answer = single.post("/api/v1/query", {"query": "a" * (1 << 20)})
    assert answer.status == 400
    assert "too large for one message between querier and ingester" in answer.json["error"]


def test_backtracking_expression_takes_linear_time(single, writer):
    writer.send([({"__name__": "bt", "a": "a" * 1000}, sample())])
    begin = time.monotonic()
    assert single.query('bt{a=~"(a*)*b"}', NOW_MS / 1000) == []
    assert time.monotonic() - begin < 5


def test_query_over_its_sample_limit_is_422(single, writer):
    series = [({"__name__": "many", "i": str(i)}, [(NOW_MS - 1000 * k, 1.0) for k in range(50, 0, -1)])
              for i in range(200)]
    assert writer.send(series).status == 204
    answer = single.post("/api/v1/query_range", {
        "query": "many * many" , "start": NOW_MS / 1000 - 11000, "end": NOW_MS / 1000, "step": 0.5})
    assert answer.status == 400
    assert "exceeded maximum resolution of 11,000 points" in answer.json["error"]
