"""`narthex tool import`, `export` and `block`: blocks that a packaged Prometheus has written, and blocks that it is to
serve. Samples are compared bit for bit, through remote read."""

import json
import shutil
import subprocess
import time

import pytest

import harness
import promchunk
import test_remote_read as remote

snappy = pytest.importorskip("snappy")

HOUR = 3600_000
STEP = 15000
COUNT = 1500  # six hours and a quarter
CONFIG = "global: {scrape_interval: 1h}\n"
FLAGS = ("--web.enable-remote-write-receiver", "--enable-feature=native-histograms", "--web.enable-admin-api",
         "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h")


def tool(*arguments, status=0):
    done = subprocess.run([harness.NARTHEX, "tool", *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def import_json(source, *where):
    return json.loads(tool("import", source, *where, "--json")[0])


@pytest.fixture(scope="module")
def base():
    """Samples of the day before yesterday: older than any out-of-order window."""
    return (int(time.time()) * 1000 - 50 * HOUR) // (2 * HOUR) * (2 * HOUR) + 77000


def make_series(pb, first):
    """As remote.make_series, over more hours and more series."""
    out = [(labels, [(first + (t - remote_first), v) for t, v in samples])
           for labels, samples, remote_first in
           ((labels, samples, samples[0][0]) for labels, samples in remote.make_series(pb, 0))
           # Prometheus 2.42 cannot write a gauge of histograms to a block, and loses some of what is mixed
           if labels["__name__"] != "mixed" and labels != {"__name__": "hist", "job": "gauge"}]
    for i in range(40):
        labels = {"__name__": "many_total", "job": "m", "instance": f"host-{i:03}", "path": "/é\"\\"}
        out.append((labels, [(first + k * STEP + i, float(k * i)) for k in range(i % 3, COUNT, 1 + i % 4)]))
    return sorted(out, key=lambda s: sorted(s[0].items()))


def write_to(url, pb, series):
    """Everything in order of time, as scrapes come."""
    writer = harness.Writer(pb, url)
    first = min(samples[0][0] for _, samples in series)
    last = max(samples[-1][0] for _, samples in series)
    for begin in range(first, last + 1, 10 * 60 * 1000):
        request = pb.WriteRequest()
        for labels, samples in series:
            inside = [(t, v) for t, v in samples if begin <= t < begin + 10 * 60 * 1000]
            if not inside:
                continue
            row = request.timeseries.add()
            for name, value in sorted(labels.items()):
                row.labels.add(name=name, value=value)
            for t, value in inside:
                if isinstance(value, float):
                    row.samples.add(timestamp=t, value=value)
                else:
                    row.histograms.add().CopyFrom(value)
                    row.histograms[-1].timestamp = t
        body = snappy.compress(request.SerializeToString())
        answer = harness.wait_until(lambda: writer.send_raw(body), 30, "a write")
        assert answer.status in (200, 204), answer.text


@pytest.fixture(scope="module")
def written(tmp_path_factory, remote_pb2, base):
    """The directory of a Prometheus's snapshot of what was written, and that as read_all has it."""
    missing = harness.missing_program("prometheus", "promtool")
    if missing:
        pytest.skip(f"{missing} is not installed")
    where = tmp_path_factory.mktemp("prometheus")
    peer = harness.Prometheus(where, CONFIG, flags=FLAGS).start().wait_ready()
    series = make_series(remote_pb2, base)
    try:
        write_to(peer.url, remote_pb2, series)
        answer = harness.http("POST", peer.url + "/api/v1/admin/tsdb/snapshot")
        assert answer.status == 200, answer.text
        snapshot = where / "prometheus" / "snapshots" / answer.json["data"]["name"]
        kept = expected(series)
        read = read_all(remote_pb2, peer.url, base)
        for labels, samples in kept.items():  # remote read of Prometheus 2.42 has floats only, and no -0
            if isinstance(samples[0][1], int):
                assert read[labels] == [(t, 0 if v == 1 << 63 else v) for t, v in samples]
    finally:
        peer.kill()
    return snapshot, kept


def expected(series):
    return {tuple(sorted(labels.items())): [(t, remote.normal(value)) for t, value in samples]
            for labels, samples in series}


def read_all(pb, url, base, begin=None, end=None, headers=None):
    """{labels: [(time, bits or histogram), ...]} of everything, through remote read."""
    request = pb.ReadRequest()
    query = request.queries.add(start_timestamp_ms=begin or base - HOUR, end_timestamp_ms=end or base + 12 * HOUR)
    query.matchers.add(type=2, name="__name__", value=".+")
    answer = harness.http("POST", url + "/api/v1/read", snappy.compress(request.SerializeToString()),
                          {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", **(headers or {})})
    assert answer.status == 200, answer.text
    out = {}
    for row in pb.ReadResponse.FromString(snappy.decompress(answer.body)).results[0].timeseries:
        labels = tuple((label.name, label.value) for label in row.labels)
        samples = [(s.timestamp, promchunk.to_bits(s.value)) for s in row.samples]
        samples += [(h.timestamp, promchunk.normal_histogram(h)) for h in row.histograms]
        assert labels not in out
        out[labels] = sorted(samples, key=lambda s: s[0])
    return out


def assert_same(got, expected):
    assert sorted(got) == sorted(expected)
    for labels, samples in expected.items():
        have = got[labels]
        assert [t for t, _ in have] == [t for t, _ in samples], labels
        for (t, a), (_, b) in zip(have, samples):
            assert a == b, (labels, t)


def count_samples(kept):
    return sum(len(samples) for samples in kept.values())


@pytest.fixture
def node(tmp_path):
    (port,) = harness.free_ports(1)
    made = harness.Node("all", "imported", port, tmp_path, ["--storage.retention=10y"])
    yield made
    made.kill()


# --- import ---


def test_a_stopped_node_takes_the_blocks_of_a_prometheus(written, node, remote_pb2, base):
    snapshot, kept = written
    result = import_json(snapshot, f"--storage.data-dir={node.data_dir}")
    assert result["floatSamples"] + result["histogramSamples"] == count_samples(kept)
    assert result["blocksWritten"] >= 3
    again = import_json(snapshot, f"--storage.data-dir={node.data_dir}")
    assert (again["blocksWritten"], again["blocksPresent"]) == (0, result["blocksWritten"])
    out, _ = tool("block", "verify", node.data_dir)
    assert out.count("good") == result["blocksWritten"]
    inspected = json.loads(tool("block", "inspect", node.data_dir, "--json")[0])
    assert sum(block["samples"] for block in inspected) == count_samples(kept)
    chunks = {kind: sum(chunk["samples"] for block in inspected for chunk in block["chunks"]
                        if chunk["encoding"] == kind) for kind in ("floats", "histograms")}
    assert chunks == {"floats": result["floatSamples"], "histograms": result["histogramSamples"]}
    node.start().wait_ready()
    assert_same(read_all(remote_pb2, node.url, base), kept)
    _, error = tool("import", snapshot, f"--storage.data-dir={node.data_dir}", status=1)
    assert "in use" in error


def test_dump_prints_what_promtool_prints(written, tmp_path):
    snapshot, _ = written
    copy = tmp_path / "prom"
    shutil.copytree(snapshot, copy)
    (copy / "wal").mkdir(exist_ok=True)
    done = subprocess.run(["promtool", "tsdb", "dump", "--match={__name__=\"many_total\"}", copy], capture_output=True,
                          text=True, check=True, timeout=60)
    tool("import", copy, f"--storage.data-dir={tmp_path / 'data'}")
    out, _ = tool("block", "dump", tmp_path / "data", "--match={__name__=\"many_total\"}")
    assert out and sorted(out.splitlines()) == sorted(done.stdout.splitlines())


def test_a_cluster_takes_old_blocks_and_each_owner_its_series(written, tmp_path, remote_pb2, base):
    snapshot, kept = written
    cluster = harness.Cluster(tmp_path, ingesters=5, flags=["--auth.multitenancy=true"])
    cluster.start()
    try:
        result = import_json(snapshot, f"--address=127.0.0.1:{cluster.querier.port}", "--tenant=team-1",
                             f"--work-dir={tmp_path}")
        assert result["floatSamples"] + result["histogramSamples"] == count_samples(kept)
        assert not list(tmp_path.glob("narthex-import-*"))
        tenant = {"X-Scope-OrgID": "team-1"}
        assert_same(read_all(remote_pb2, cluster.querier.url, base, headers=tenant), kept)
        again = import_json(snapshot, f"--address=127.0.0.1:{cluster.querier.port}", "--tenant=team-1")
        assert (again["blocksWritten"], again["blocksPresent"]) == (0, result["blocksWritten"])
        copies = 0
        for ingester in cluster.ingesters:
            assert ingester.metric("narthex_ingester_blocks_imported_total") == result["blocksWritten"]
            for block in json.loads(tool("block", "inspect", ingester.data_dir, "--json")[0]):
                assert block["tenant"] == "team-1"
                copies += block["samples"]
        assert copies == 3 * count_samples(kept)
        cluster.ingesters[2].kill()  # the others are enough for each partition
        cluster.wait_healthy(4)
        assert_same(read_all(remote_pb2, cluster.querier.url, base, headers=tenant), kept)
        cluster.stop()
    finally:
        cluster.kill()


def test_an_import_needs_a_majority_and_is_repeated_for_who_missed_it(written, tmp_path, remote_pb2, base):
    snapshot, kept = written
    cluster = harness.Cluster(tmp_path)
    cluster.start()
    where = [f"--address=127.0.0.1:{cluster.querier.port}", f"--work-dir={tmp_path}"]
    try:
        for ingester in cluster.ingesters[:2]:
            ingester.kill()
        _, error = tool("import", snapshot, *where, status=1)
        assert "majority" in error
        cluster.ingesters[0].start().wait_ready()
        _, warning = tool("import", snapshot, *where)
        assert "ingester-2 misses" in warning
        cluster.ingesters[1].start().wait_ready()
        out, warning = tool("import", snapshot, *where, "--quiet", "--json")
        result = json.loads(out)
        assert warning == "" and result["blocksWritten"] == 4
        for ingester in cluster.ingesters:
            blocks = json.loads(tool("block", "inspect", ingester.data_dir, "--json")[0])
            assert sum(block["samples"] for block in blocks) == count_samples(kept)
        cluster.wait_healthy(3)
        assert_same(read_all(remote_pb2, cluster.querier.url, base), kept)
        cluster.stop()
    finally:
        cluster.kill()


def test_what_retention_would_delete_is_not_taken(written, tmp_path):
    snapshot, _ = written
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "short", port, tmp_path, ["--storage.retention=1d"])
    try:
        node.start().wait_ready()
        _, error = tool("import", snapshot, f"--address=127.0.0.1:{port}", status=1)
        assert "storage.retention" in error
        _, error = tool("import", snapshot, f"--address=127.0.0.1:{harness.free_ports(1)[0]}", status=1)
        assert "did not say which cluster" in error
    finally:
        node.kill()


def test_damage_is_named(written, tmp_path):
    snapshot, _ = written
    copy = tmp_path / "prom"
    for name, change, text in [
        ("index", lambda b: b[:-10], "table of contents"),
        ("index", lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:], "checksum of the symbols"),
        ("chunks/000001", lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], "checksum of the chunk"),
        ("chunks/000001", lambda b: b[:2000], "chunk at"),
        ("chunks/000001", lambda b: b"", "hold no header"),
        ("meta.json", lambda b: b[:30], "meta.json"),
    ]:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(snapshot, copy)
        block = sorted(copy.glob("*/meta.json"))[0].parent
        (block / name).write_bytes(change((block / name).read_bytes()))
        _, error = tool("import", copy, f"--storage.data-dir={tmp_path / 'data'}", status=1)
        assert text in error and block.name in error, error
    shutil.rmtree(copy)
    copy.mkdir()
    _, error = tool("import", copy, f"--storage.data-dir={tmp_path / 'data'}", status=1)
    assert "no block of Prometheus here" in error


# --- export ---


def aligned(base):
    return base // (2 * HOUR) * (2 * HOUR)


def check_by_promtool(directory, blocks):
    (directory / "wal").mkdir(exist_ok=True)
    for command in (["list", directory], ["analyze", directory], ["dump", directory]):
        done = subprocess.run(["promtool", "tsdb", *map(str, command)], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, (command, done.stdout[-500:], done.stderr)
        if command[0] == "list":
            assert len(done.stdout.splitlines()) == blocks + 1, done.stdout


def asked(url, begin, end):
    """Range queries that a dashboard would make, over everything."""
    out = []
    for expr in ("sum by (job) (rate(many_total[5m]))", "gauge", "counter_total", "count({__name__=~\".+\"})",
                 "histogram_quantile(0.9, rate(hist[10m]))", "histogram_count(hist)", "histogram_sum(hist)"):
        answer = harness.http("POST", url + "/api/v1/query_range", harness.urllib.parse.urlencode(
            {"query": expr, "start": begin / 1000, "end": end / 1000, "step": 60}).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status == 200, (expr, answer.text)
        out.append((expr, answer.json["data"]))
    return out


def test_an_export_is_served_by_prometheus_and_comes_back_as_it_was(written, node, tmp_path, remote_pb2, base):
    snapshot, kept = written
    tool("import", snapshot, f"--storage.data-dir={node.data_dir}")
    target = tmp_path / "exported"
    result = json.loads(tool("export", target, f"--storage.data-dir={node.data_dir}", "--json")[0])
    assert result["floatSamples"] + result["histogramSamples"] == count_samples(kept)
    for meta in target.glob("*/meta.json"):
        block = json.loads(meta.read_text())
        assert block["minTime"] >= aligned(block["minTime"]) and block["maxTime"] <= aligned(block["minTime"]) + 2 * HOUR
    check_by_promtool(target, result["blocks"])
    back = tmp_path / "back"
    tool("import", target, f"--storage.data-dir={back}")
    tool("block", "verify", back)
    (port,) = harness.free_ports(1)
    second = harness.Node("all", "second", port, tmp_path, ["--storage.retention=10y", f"--storage.data-dir={back}"])
    peers = []
    for name, blocks in (("original", snapshot), ("exported-again", target)):
        shutil.copytree(blocks, tmp_path / name)
        peers.append(harness.Prometheus(tmp_path, CONFIG, name=name, flags=FLAGS))
    try:
        second.start().wait_ready()
        assert_same(read_all(remote_pb2, second.url, base), kept)
        for peer in peers:
            peer.start().wait_ready()
        before, after = (asked(peer.url, base, base + COUNT * STEP) for peer in peers)
        for (expr, expect), (_, got) in zip(before, after):
            assert expect["result"], expr
            assert got == expect, expr
    finally:
        for process in (second, *peers):
            process.kill()


def test_a_running_cluster_is_exported_through_its_querier(written, tmp_path, remote_pb2, base):
    snapshot, kept = written
    cluster = harness.Cluster(tmp_path)
    cluster.start()
    try:
        tool("import", snapshot, f"--address=127.0.0.1:{cluster.querier.port}")
        where = f"--address=127.0.0.1:{cluster.querier.port}"
        target, part = tmp_path / "exported", tmp_path / "part"
        _, error = tool("export", target, where, status=1)
        assert "--start" in error
        result = json.loads(tool("export", target, where, f"--start={base // 1000 - 60}", "--json")[0])
        assert result["floatSamples"] + result["histogramSamples"] == count_samples(kept)
        check_by_promtool(target, result["blocks"])
        few = json.loads(tool("export", part, where, f"--start={base // 1000 + 3600}", f"--end={base // 1000 + 7200}",
                              '--match={job="m",instance="host-000"}', "--json")[0])
        expect = [t for labels, samples in kept.items() if ("instance", "host-000") in labels
                  for t, _ in samples if 3600_000 <= t - base // 1000 * 1000 <= 7200_000]
        assert few["floatSamples"] == len(expect) > 0 and few["histogramSamples"] == 0
        tool("import", target, f"--storage.data-dir={tmp_path / 'back'}")
        cluster.stop()
    finally:
        cluster.kill()
    (port,) = harness.free_ports(1)
    second = harness.Node("all", "second", port, tmp_path,
                          ["--storage.retention=10y", f"--storage.data-dir={tmp_path / 'back'}"])
    try:
        second.start().wait_ready()
        assert_same(read_all(remote_pb2, second.url, base), kept)
    finally:
        second.kill()


def test_an_export_holds_what_is_in_the_log_only(node, tmp_path, remote_pb2):
    first = int(time.time()) * 1000 - 401 * STEP
    series = remote.make_series(remote_pb2, first)
    node.start().wait_ready()
    write_to(node.url, remote_pb2, series)
    node.kill()
    target, back = tmp_path / "exported", tmp_path / "back"
    result = json.loads(tool("export", target, f"--storage.data-dir={node.data_dir}", "--json")[0])
    kept = expected(series)
    assert result["floatSamples"] + result["histogramSamples"] == count_samples(kept)
    tool("import", target, f"--storage.data-dir={back}")
    (port,) = harness.free_ports(1)
    second = harness.Node("all", "second", port, tmp_path, ["--storage.retention=10y", f"--storage.data-dir={back}"])
    try:
        second.start().wait_ready()
        assert_same(read_all(remote_pb2, second.url, first), kept)
    finally:
        second.kill()
