"""Streams recorded from real Prometheus servers, replayed into a replicated cluster, and the answers Prometheus gave on
them."""

import json
import struct
import subprocess

import pytest

import harness

needs_data = pytest.mark.skipif(
    not harness.TESTDATA.exists(), reason=f"no recorded streams: {harness.TESTDATA} is absent"
)
pytestmark = needs_data


def requests_of(name):
    raw = subprocess.run(
        ["zstd", "-dc", str(harness.TESTDATA / name)], check=True, capture_output=True
    ).stdout
    at = 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        yield raw[at + 4:at + 4 + size]
        at += 4 + size


def replay(writer, name):
    sent = 0
    for body in requests_of(name):
        answer = writer.send_raw(body)
        assert answer.status == 204, f"request {sent}: {answer.status} {answer.text}"
        sent += 1
    return sent


def replay_v2(writer, name):
    """The requests sent, and the sums of what the answers say was written."""
    sent, written = 0, {"Samples": 0, "Histograms": 0, "Exemplars": 0}
    for body in requests_of(name):
        answer = writer.send_raw_v2(body)
        assert answer.status == 204, f"request {sent}: {answer.status} {answer.text}"
        sent += 1
        for kind in written:
            written[kind] += int(answer.headers[f"X-Prometheus-Remote-Write-{kind}-Written"])
    return sent, written


@pytest.fixture(scope="module")
def replayed(tmp_path_factory, remote_pb2):
    cluster = harness.Cluster(tmp_path_factory.mktemp("recorded")).start()
    try:
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        assert replay(writer, "remote-write-1.0.bin.zst") == 654
        yield cluster
        cluster.stop()
    finally:
        cluster.kill()


# What the stream holds: 1,186,964 samples of 3,215 series, the stale markers among them.
SAMPLES, SERIES, END = 1186964, 3215, 1795209911


def test_every_sample_is_stored_once_on_each_replica(replayed):
    for node in replayed.ingesters:
        assert node.metric("narthex_ingester_samples_total", kind="float") == SAMPLES
        assert node.metric("narthex_ingester_samples_total", kind="duplicate") == 0
        assert node.metric("narthex_ingester_series") == SERIES


def test_every_sample_is_read_once(replayed):
    querier = replayed.querier
    series = querier.query('count(last_over_time({__name__!=""}[32m]))', END)
    assert float(series[0]["value"][1]) == SERIES
    read = 0
    for name in querier.get("/api/v1/label/__name__/values").json["data"]:
        for found in querier.query(f"{name}[32m]", END):
            read += len(found["values"])
    assert read == SAMPLES - stale_markers()


def stale_markers():
    """Stale markers end a series and are not read; the stream is asked, not the store."""
    import snappy

    marker = struct.pack("<d", harness.STALE_NAN)
    return sum(snappy.uncompress(body).count(b"\x09" + marker)
               for body in requests_of("remote-write-1.0.bin.zst"))


# The recorded answers are those of 2.42; 3.x drops the metric name at atan2 as at other arithmetic.
CHANGED_SINCE = {"node_load1 atan2 node_load5"}
ANSWERS = harness.TESTDATA / "prometheus-answers.json"


def test_recorded_answers_agree(replayed):
    wrong = []
    entries = json.loads(ANSWERS.read_text())
    for entry in entries:
        query = entry["query"]
        if query in CHANGED_SINCE:
            continue
        want = entry["range"]["data"]
        got = replayed.querier.query_range(query, entry["start"], entry["end"], entry["step"])
        diff = harness.difference(want["resultType"], want["result"], got)
        if diff:
            wrong.append(f"range {query}: {diff}")
        want = entry["instant"]["data"]
        got = replayed.querier.query(query, entry["time"])
        diff = harness.difference(want["resultType"], want["result"], got)
        if diff:
            wrong.append(f"instant {query}: {diff}")
    assert not wrong, f"{len(wrong)} of {2 * len(entries)} answers differ:\n" + "\n".join(wrong)


def test_metadata_is_kept(replayed):
    metadata = replayed.querier.get("/api/v1/metadata").json["data"]
    assert metadata["node_cpu_seconds_total"][0]["type"] == "counter"
    assert metadata["up"][0]["type"] == "gauge" if "up" in metadata else True
    assert len(metadata) > 500


def test_answers_survive_a_restart(replayed):
    query, at = "sum by (job, __name__) (last_over_time({__name__!=''}[10m]))", 1795209800
    before = replayed.querier.query(query, at)
    for node in replayed.ingesters:
        node.kill()
    for node in replayed.ingesters:
        node.start()
    for node in replayed.ingesters:
        node.wait_ready()
    replayed.wait_healthy(3)
    assert harness.difference("vector", before, replayed.querier.query(query, at)) is None
