"""A log that its disk damaged: with one copy of the data a query says that samples may be missing."""

import time

import harness

SERIES = 200
STEPS = 20


def write(remote_pb2, url, begin_ms):
    writer = harness.Writer(remote_pb2, url)
    for step in range(STEPS):
        rows = [({"__name__": "m", "i": str(i)}, [(begin_ms + step * 1000, float(step))]) for i in range(SERIES)]
        assert writer.send(rows).status == 204


def damage(node):
    """Changes bytes in the middle of each log."""
    logs = [path for path in (node.data_dir / "wal").rglob("*") if path.is_file() and path.stat().st_size > 4096]
    assert logs
    for path in logs:
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 64] = bytes(b ^ 0xFF for b in content[middle : middle + 64])
        path.write_bytes(content)


def ask(node, expr, at_s):
    answer = node.get("/api/v1/query", {"query": expr, "time": at_s})
    assert answer.status == 200, answer.text
    return float(answer.json["data"]["result"][0]["value"][1]), answer.json.get("warnings", [])


def test_a_query_over_what_the_only_copy_lost_carries_a_warning(tmp_path, remote_pb2):
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "n1", port, tmp_path)
    begin_s = time.time() - 60
    try:
        node.start()
        node.wait_ready()
        write(remote_pb2, node.url, int(begin_s * 1000))
        whole = "sum(count_over_time(m[10m]))"
        assert ask(node, whole, begin_s + 60) == (SERIES * STEPS, [])
        node.kill()
        damage(node)
        node.start()
        node.wait_ready()
        count, warnings = ask(node, whole + " + 0 * sum(m)", begin_s + 60)
        assert 0 < count < SERIES * STEPS
        assert len(warnings) == 1 and "samples may be missing" in warnings[0] and '"n1"' in warnings[0]
        ranged = node.get("/api/v1/query_range", {"query": "m", "start": begin_s, "end": begin_s + 60, "step": 10}).json
        assert ranged["warnings"] == warnings
        # other times are whole, and what needs no data lacks none
        old = node.get("/api/v1/query", {"query": "m", "time": begin_s - 7 * 86400}).json
        assert old["data"]["result"] == [] and "warnings" not in old
        assert ask(node, "vector(1)", begin_s) == (1, [])
    finally:
        node.kill()


def test_a_query_that_other_copies_answer_carries_none(tmp_path, remote_pb2):
    cluster = harness.Cluster(tmp_path)
    begin_s = time.time() - 60
    try:
        cluster.start()
        write(remote_pb2, cluster.distributor.url, int(begin_s * 1000))
        victim = cluster.ingesters[1]
        victim.kill()
        damage(victim)
        victim.start()
        victim.wait_ready()
        assert victim.metric("narthex_wal_damaged_spots_total") > 0
        whole = "sum(count_over_time(m[10m]))"
        harness.wait_until(lambda: ask(cluster.querier, whole, begin_s + 60) == (SERIES * STEPS, []), 60,
                           "the whole answer")
    finally:
        cluster.kill()
