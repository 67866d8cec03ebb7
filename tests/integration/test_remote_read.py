"""Remote read: both kinds of answers by hand-written clients, over replicas that differ; and a packaged Prometheus without
data of its own, whose answers must be those of the querier."""

import random
import socket
import time
import urllib.parse

import pytest

import harness
import promchunk
from promchunk import to_bits

snappy = pytest.importorskip("snappy")

SAMPLES, STREAMED = 0, 1
STEP = 15000
COUNT = 400


@pytest.fixture(scope="module")
def base():
    """The first time; the last sample is a minute old, or some more: no two-hour window, where Prometheus
    begins a new chunk, begins within the first 40 samples."""
    first = (int(time.time()) - 60) * 1000 - COUNT * STEP
    into_window = first % (2 * 3600 * 1000)
    return first - max(0, into_window + 41 * STEP - 2 * 3600 * 1000)


def counter_histogram(pb, rng, i, integer, gauge=False, start=0):
    """The i-th of a run of growing histograms, with more buckets as it goes on."""
    h = pb.Histogram(schema=2, zero_threshold=2.0**-128, sum=float(i) * 1.5,
                     reset_hint=pb.Histogram.GAUGE if gauge else pb.Histogram.UNKNOWN)
    width = 3 + (i - start) // 50
    values = [(i - start) * (k + 1) for k in range(width)]
    if gauge:
        values = [rng.randrange(100) for _ in range(width)]
    h.positive_spans.add(offset=-2, length=2)
    h.positive_spans.add(offset=1, length=width - 2)
    if integer:
        h.count_int, h.zero_count_int = sum(values) + 7, 7
        h.positive_deltas.extend(b - a for a, b in zip([0, *values], values))
    else:
        h.count_float, h.zero_count_float = sum(values) + 0.5, 0.5
        h.positive_counts.extend(float(v) for v in values)
    return h


def make_series(pb, base):
    """[(labels, [(time, value or Histogram), ...])], sorted by labels."""
    rng = random.Random(11)
    times = [base + i * STEP + (rng.randrange(9) if i % 7 == 0 else 0) for i in range(COUNT)]
    series = []
    for name, job, value in [
        ("counter_total", "a", lambda i: float(i * 3 % 1000)),
        ("gauge", "a", lambda i: rng.uniform(-1, 1)),
        ("gauge", "b", lambda i: harness.STALE_NAN if i % 50 == 49 else float(i)),
        ("gauge", "c", lambda i: (float("inf"), -0.0, float("nan"), 5e-324)[i % 4]),
        ("hist", "float", lambda i: counter_histogram(pb, rng, i, False)),
        ("hist", "gauge", lambda i: counter_histogram(pb, rng, i, True, gauge=True)),
        ("hist", "int", lambda i: counter_histogram(pb, rng, i, True, start=200 if i >= 200 else 0)),
        ("mixed", "a", lambda i: float(i) if i // 30 % 2 else counter_histogram(pb, rng, i, True)),
    ]:
        series.append(({"__name__": name, "job": job}, [(t, value(i)) for i, t in enumerate(times)]))
    return series


def send(cluster, pb, series, begin, end):
    request = pb.WriteRequest()
    for labels, samples in series:
        row = request.timeseries.add()
        for name, value in sorted(labels.items()):
            row.labels.add(name=name, value=value)
        for t, value in samples[begin:end]:
            if isinstance(value, float):
                row.samples.add(timestamp=t, value=value)
            else:
                row.histograms.add().CopyFrom(value)
                row.histograms[-1].timestamp = t
    writer = harness.Writer(pb, cluster.distributor.url)
    body = snappy.compress(request.SerializeToString())
    harness.wait_until(lambda: writer.send_raw(body).status == 204, 30, "a write")


@pytest.fixture(scope="module")
def held(tmp_path_factory, remote_pb2, base):
    """A cluster each of whose replicas missed another part of the data, and what was written."""
    cluster = harness.Cluster(tmp_path_factory.mktemp("read")).start()
    series = make_series(remote_pb2, base)
    try:
        part = COUNT // 8
        for i in range(8):
            missing = cluster.ingesters[i % 3] if i % 2 else None
            if missing:
                missing.kill()
                cluster.wait_healthy(2)
            send(cluster, remote_pb2, series, i * part, (i + 1) * part)
            if missing:
                missing.start().wait_ready()
                cluster.wait_healthy(3)
        yield cluster, series
        cluster.stop()
    finally:
        cluster.kill()


def normal(value):
    return to_bits(value) if isinstance(value, float) else promchunk.normal_histogram(value)


def expected(series, begin, end, name=None):
    out = []
    for labels, samples in series:
        inside = [(t, normal(v)) for t, v in samples if begin <= t <= end]
        if inside and (name is None or labels["__name__"] == name):
            out.append((labels, inside))
    return out


def post(cluster, pb, queries, types=(), **hints):
    """queries: [(begin, end, [(type, name, value), ...])]"""
    request = pb.ReadRequest(accepted_response_types=types)
    for begin, end, matchers in queries:
        query = request.queries.add(start_timestamp_ms=begin, end_timestamp_ms=end)
        for kind, name, value in matchers:
            query.matchers.add(type=kind, name=name, value=value)
        for key, value in hints.items():
            setattr(query.hints, key, value)
    return harness.http("POST", cluster.querier.url + "/api/v1/read",
                        snappy.compress(request.SerializeToString()),
                        {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})


def read_samples(pb, answer):
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-protobuf"
    assert answer.headers["Content-Encoding"] == "snappy"
    results = []
    for result in pb.ReadResponse.FromString(snappy.decompress(answer.body)).results:
        rows = []
        for row in result.timeseries:
            labels = {label.name: label.value for label in row.labels}
            assert list(labels) == sorted(labels)
            samples = [(s.timestamp, to_bits(s.value)) for s in row.samples]
            histograms = [(h.timestamp, promchunk.normal_histogram(h)) for h in row.histograms]
            assert samples == sorted(samples, key=lambda s: s[0])
            rows.append((labels, sorted(samples + histograms, key=lambda s: s[0])))
        results.append(rows)
    return results


def decode_chunk(chunk):
    if chunk.type == promchunk.XOR:
        return promchunk.decode_xor(chunk.data)
    return promchunk.decode_histograms(chunk.data, chunk.type == promchunk.HISTOGRAM)[1]


def read_streamed(pb, answer, limits=None):
    """{query index: [(labels, [(time, value), ...])]}; each sample comes once."""
    assert answer.status == 200, answer.text
    assert (answer.headers["Content-Type"]
            == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse")
    assert answer.headers["Content-Encoding"] is None
    results = {}
    for data in promchunk.frames(answer.body):
        frame = pb.ChunkedReadResponse.FromString(data)
        assert len(frame.chunked_series) == 1 and len(data) <= (1 << 20) + 4096
        row = frame.chunked_series[0]
        labels = {label.name: label.value for label in row.labels}
        rows = results.setdefault(frame.query_index, [])
        if not rows or rows[-1][0] != labels:
            rows.append((labels, []))
        for chunk in row.chunks:
            samples = decode_chunk(chunk)
            assert samples[0][0] == chunk.min_time_ms and samples[-1][0] == chunk.max_time_ms
            rows[-1][1].extend(samples)
    for rows in results.values():
        keys = [sorted(labels.items()) for labels, _ in rows]
        assert keys == sorted(keys)
        for _, samples in rows:
            times = [t for t, _ in samples]
            assert times == sorted(set(times))
    return results


def cut(rows, begin, end):
    out = [(labels, [s for s in samples if begin <= s[0] <= end]) for labels, samples in rows]
    return [(labels, samples) for labels, samples in out if samples]


RANGES = [(0, COUNT), (100, 101), (150, 300), (-10, 0), (COUNT + 5, COUNT + 9)]


@pytest.mark.parametrize("span", RANGES)
def test_samples_are_those_that_were_written(held, remote_pb2, base, span):
    cluster, series = held
    begin, end = base + span[0] * STEP, base + span[1] * STEP
    got = read_samples(remote_pb2, post(cluster, remote_pb2, [(begin, end, [(2, "job", ".+")])]))
    assert got == [expected(series, begin, end)]


@pytest.mark.parametrize("span", RANGES)
def test_streamed_chunks_hold_each_sample_once(held, remote_pb2, base, span):
    cluster, series = held
    begin, end = base + span[0] * STEP, base + span[1] * STEP
    answer = post(cluster, remote_pb2, [(begin, end, [(2, "job", ".+")])], [STREAMED])
    got = read_streamed(remote_pb2, answer)
    assert cut(got.get(0, []), begin, end) == expected(series, begin, end)


def test_matchers_and_several_queries(held, remote_pb2, base):
    cluster, series = held
    end = base + COUNT * STEP
    queries = [(base, end, [(0, "__name__", "gauge")]), (base, end, [(0, "__name__", "nothing")]),
               (end, base, [(0, "__name__", "gauge")]),
               (base, end, [(1, "__name__", "gauge"), (2, "job", "a|b")])]
    wanted = [expected(series, base, end, "gauge"), [], [],
              [row for row in expected(series, base, end)
               if row[0]["__name__"] != "gauge" and row[0]["job"] in "ab"]]
    assert read_samples(remote_pb2, post(cluster, remote_pb2, queries)) == wanted
    streamed = read_streamed(remote_pb2, post(cluster, remote_pb2, queries, [STREAMED]))
    assert [streamed.get(i, []) for i in range(4)] == wanted
    assert list(streamed) == [0, 3]


def test_the_first_accepted_type_that_exists_is_taken(held, remote_pb2, base):
    cluster, _ = held
    queries = [(base, base + STEP, [(0, "__name__", "gauge")])]
    for types, streamed in [([], False), ([SAMPLES, STREAMED], False), ([STREAMED, SAMPLES], True)]:
        answer = post(cluster, remote_pb2, queries, types)
        assert ("streamed" in answer.headers["Content-Type"]) == streamed, types
    # an enumeration keeps numbers that it does not know
    request = remote_pb2.ReadRequest(accepted_response_types=[7, 9]).SerializeToString()
    answer = harness.http("POST", cluster.querier.url + "/api/v1/read", snappy.compress(request))
    assert answer.status == 400 and "does not support any of the requested" in answer.text
    unpacked = b"\x10\x07\x10\x01"
    answer = harness.http("POST", cluster.querier.url + "/api/v1/read", snappy.compress(unpacked))
    assert answer.status == 200 and "streamed" in answer.headers["Content-Type"] and not answer.body


def test_hints_for_series_bring_labels_alone(held, remote_pb2, base):
    cluster, series = held
    queries = [(base, base + COUNT * STEP, [(2, "job", ".+")])]
    answer = post(cluster, remote_pb2, queries, func="series", start_ms=base,
                  end_ms=base + COUNT * STEP)
    assert read_samples(remote_pb2, answer) == [[(labels, []) for labels, _ in series]]
    answer = post(cluster, remote_pb2, queries, func="rate", start_ms=base + 20 * STEP,
                  end_ms=base + 30 * STEP)
    assert read_samples(remote_pb2, answer) == [expected(series, base + 20 * STEP, base + 30 * STEP)]


def test_bad_requests_are_400(held, remote_pb2, base):
    cluster, _ = held
    url = cluster.querier.url + "/api/v1/read"
    pb = remote_pb2
    bad_regex = pb.ReadRequest()
    bad_regex.queries.add(end_timestamp_ms=1).matchers.add(type=2, name="a", value="(")
    bad_type = pb.ReadRequest()
    bad_type.queries.add(end_timestamp_ms=1).matchers.add(name="a", value="b").type = 4
    bodies = [b"", b"not snappy", b"\xff\xff\xff\xff\x0f" + b"x" * 100,
              snappy.compress(b"\x00" * ((32 << 20) + 1)), snappy.compress(b"\x0a\x7f"),
              snappy.compress(b"garbage"), snappy.compress(bad_regex.SerializeToString()),
              snappy.compress(bad_type.SerializeToString()), snappy.compress(b"\x0a\x00" * 1001)]
    for body in bodies:
        answer = harness.http("POST", url, body)
        assert answer.status == 400, (body[:20], answer.status)
        assert answer.headers["Content-Type"].startswith("text/plain") and answer.text.strip()
        assert answer.headers["Content-Encoding"] is None
    assert harness.http("POST", url, b"x" * ((32 << 20) + 1)).status == 413
    assert harness.http("GET", url).status == 405
    rng = random.Random(3)
    good = pb.ReadRequest()
    good.queries.add(start_timestamp_ms=base, end_timestamp_ms=base + STEP).matchers.add(
        name="__name__", value="gauge")
    for _ in range(300):
        body = bytearray(good.SerializeToString())
        for _ in range(rng.randrange(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        assert harness.http("POST", url, snappy.compress(bytes(body))).status in (200, 400)
    assert cluster.querier.alive


def test_too_many_samples_are_400(tmp_path, held, remote_pb2, base):
    cluster, _ = held
    (port,) = harness.free_ports(1)
    flags = [flag for flag in cluster.querier.argv if flag.startswith("--ring.")]
    node = harness.Node("querier", "strict", port, tmp_path, [*flags, "--query.max-samples=500"])
    try:
        node.start().wait_ready()
        strict = type("Strict", (), {"querier": node})
        queries = [(base, base + COUNT * STEP, [(0, "job", "a")])]
        def status():
            return post(strict, remote_pb2, queries).status
        harness.wait_until(lambda: status() != 503, 20, "ingesters")
        answer = post(strict, remote_pb2, queries)
        assert (answer.status, answer.text.strip()) == (400, "exceeded sample limit (500)")
        one = [(base, base + COUNT * STEP, [(0, "__name__", "counter_total")])]
        assert post(strict, remote_pb2, one * 3).status == 200  # a query's, not a request's
        assert post(strict, remote_pb2, queries, [STREAMED]).status == 200  # there is none
    finally:
        node.kill()


def test_a_client_that_leaves_or_is_slow_harms_nobody(held, remote_pb2, base):
    cluster, _ = held
    request = remote_pb2.ReadRequest(accepted_response_types=[STREAMED])
    for _ in range(400):
        request.queries.add(start_timestamp_ms=base, end_timestamp_ms=base + COUNT * STEP).matchers.add(
            type=2, name="job", value=".+")
    body = snappy.compress(request.SerializeToString())
    head = (f"POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n").encode()
    whole = harness.http("POST", cluster.querier.url + "/api/v1/read", body).body
    assert len(whole) > 5 << 20  # more than all the buffers on the way hold
    for leave_after in (0, 100, 200000):
        with socket.create_connection(("127.0.0.1", cluster.querier.port)) as sock:
            sock.sendall(head + body)
            got = 0
            while got < leave_after:
                got += len(sock.recv(4096))
    with socket.create_connection(("127.0.0.1", cluster.querier.port)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(head + body)
        time.sleep(1)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert len(answer) > len(whole)  # with the header, and in chunks
    harness.wait_until(lambda: cluster.querier.metric("narthex_query_in_flight") == 0, 20,
                       "the end of all reads")


# --- a packaged Prometheus ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader(tmp_path_factory, held):
    missing = harness.missing_program("prometheus")
    if missing:
        pytest.skip(f"{missing} is not installed")
    cluster, _ = held
    config = f"remote_read: [{{url: '{cluster.querier.url}/api/v1/read', read_recent: true}}]\n"
    prometheus = harness.Prometheus(tmp_path_factory.mktemp("reader"), config, "reader",
                                    ["--enable-feature=native-histograms"])
    try:
        yield prometheus.start().wait_ready()
        prometheus.stop()
    finally:
        prometheus.kill()


# Of floats: the packaged Prometheus (2.42) leaves out the native histograms that a remote answers.
QUERIES = [
    "gauge", "counter_total", "sum(gauge)", "rate(counter_total[2m])", "increase(counter_total[5m])",
    'avg_over_time(gauge{job="a"}[3m])', 'count_over_time({__name__=~"gauge"}[10m])',
    'gauge{job="b"}', "resets(counter_total[10m])", "gauge offset 7m",
    'sum_over_time(gauge{job="a"}[5m:37s])', "absent(nothing)", "count(gauge) by (job)",
    "last_over_time(gauge[1h] @ end())", "topk(1, abs(gauge < 1))",
]


@pytest.mark.parametrize("query", QUERIES)
def test_prometheus_that_reads_from_here_answers_the_same(held, reader, base, query):
    cluster, _ = held
    for i in (3, 199, 201, 333):
        at = (base + i * STEP) / 1000 + 3.137  # between samples: versions differ at a range's ends
        problem = harness.difference("vector", reader.query(query, at),
                                     cluster.querier.query(query, at))
        assert problem is None, (i, problem)
    params = {"query": query, "start": base / 1000 + 1.137, "end": base / 1000 + 6000.137, "step": 61}
    answer = harness.http("GET", reader.url + "/api/v1/query_range?" + urllib.parse.urlencode(params))
    assert answer.status == 200 and "warnings" not in answer.json, answer.text[:300]
    problem = harness.difference("matrix", answer.json["data"]["result"],
                                 cluster.querier.query_range(**{k if k != "query" else "expr": v
                                                                for k, v in params.items()}))
    assert problem is None, problem


def test_prometheus_lists_series_from_here(held, reader):
    _, series = held
    answer = harness.http("GET", reader.url + "/api/v1/series?match[]={job=~%22.%2b%22}")
    assert answer.json["data"] == [labels for labels, _ in series]
    answer = harness.http("GET", reader.url + "/api/v1/query?query=count({job=~%22.%2b%22})&time=1")
    assert answer.json["data"]["result"] == []


def test_chunks_are_those_of_prometheus(tmp_path, held, remote_pb2, base):
    """The same samples written to a packaged Prometheus and streamed from there."""
    if harness.missing_program("prometheus"):
        pytest.skip("prometheus is not installed")
    cluster, series = held
    peer = harness.Prometheus(tmp_path, "{}\n", "peer", [
        "--enable-feature=native-histograms", "--web.enable-remote-write-receiver"])
    try:
        peer.start().wait_ready()
        few = [(labels, samples[:40]) for labels, samples in series if labels["job"] in ("int", "float")]
        send(type("Peer", (), {"distributor": peer}), remote_pb2, few, 0, 40)
        queries = [(base, base + 39 * STEP + 10, [(0, "__name__", "hist"), (2, "job", "int|float")])]
        theirs = post(type("Peer", (), {"querier": peer}), remote_pb2, queries, [STREAMED])
        ours = post(cluster, remote_pb2, queries, [STREAMED])
        rows = [{}, {}]
        for row, answer in zip(rows, (theirs, ours)):
            for data in promchunk.frames(answer.body):
                for one in remote_pb2.ChunkedReadResponse.FromString(data).chunked_series:
                    row.setdefault(str(one.labels), []).extend(one.chunks)
        assert rows[0].keys() == rows[1].keys()
        assert cut(read_streamed(remote_pb2, theirs)[0], *queries[0][:2]) == cut(
            read_streamed(remote_pb2, ours)[0], *queries[0][:2])
        for key, chunks in rows[0].items():
            assert [c.type for c in chunks] == [c.type for c in rows[1][key]]
            # of the first sample's header nothing is known here, since the chunk may begin anywhere
            assert [c.data[:2] + c.data[3:] for c in chunks] == [c.data[:2] + c.data[3:] for c in rows[1][key]]
        peer.stop()
    finally:
        peer.kill()
