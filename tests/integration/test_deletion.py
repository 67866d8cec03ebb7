"""Deleting series, cleaning up behind it, snapshots, compaction and limits of tenants, on real clusters."""

import re
import signal
import time

import pytest

import harness

SERIES = 30
MINUTES = 40
FLAGS = ["--storage.block-window=1m", "--storage.out-of-order-window=1h"]


@pytest.fixture
def cluster(tmp_path):
    made = harness.Cluster(tmp_path, flags=["--ring.partitions=64"], ingester_flags=FLAGS,
                           querier_flags=["--web.enable-admin-api=true"]).start()
    yield made
    try:
        made.stop()
    finally:
        made.kill()


def send(remote_pb2, cluster, start_s, minutes=range(MINUTES), name="kept"):
    writer = harness.Writer(remote_pb2, cluster.distributor.url)
    rows = [({"__name__": "m", "group": name, "i": str(i)},
             [(int((start_s + 60 * m) * 1000), float(m * 100 + i)) for m in minutes]) for i in range(SERIES)]
    answer = writer.send(rows)
    assert answer.status == 204, answer.text


def counts(cluster, start_s, **params):
    """Samples of each group, each as often as it is there."""
    at = start_s + 60 * MINUTES
    rows = cluster.querier.query(f"sum by (group) (count_over_time(m[{60 * MINUTES + 60}s]))", at, **params)
    return {row["metric"]["group"]: int(row["value"][1]) for row in rows}


def delete(cluster, *selectors, **params):
    return cluster.querier.post("/api/v1/admin/tsdb/delete_series", {"match[]": list(selectors), **params})


def admin(cluster, what, **params):
    answer = cluster.querier.post(f"/api/v1/admin/tsdb/{what}", params)
    assert answer.status in (200, 204), f"{what}: {answer.status} {answer.text}"
    return answer


def test_deleted_samples_stay_away_from_every_replica(cluster, remote_pb2):
    start_s = int(time.time()) // 60 * 60 - 3000
    send(remote_pb2, cluster, start_s)
    send(remote_pb2, cluster, start_s, name="gone")
    whole = SERIES * MINUTES
    assert counts(cluster, start_s) == {"kept": whole, "gone": whole}

    # half of it, then all of it, of one group; the other is untouched
    answer = delete(cluster, '{group="gone"}', end=start_s + 60 * 20 - 1)
    assert answer.status == 204, answer.text
    assert answer.body == b""
    assert counts(cluster, start_s) == {"kept": whole, "gone": whole // 2}

    # one replica is away, and comes back without knowing of it
    absent = cluster.ingesters[0]
    absent.kill()
    cluster.wait_healthy(2)
    assert delete(cluster, '{group="gone",i=~"[0-9]"}', '{group="gone",i=~"[12][0-9]"}').status == 204
    assert counts(cluster, start_s) == {"kept": whole}
    absent.start().wait_ready()
    cluster.wait_healthy(3)
    for _ in range(5):
        assert counts(cluster, start_s) == {"kept": whole}
    # the queries have told it
    harness.wait_until(lambda: counts(cluster, start_s) == {"kept": whole}
                       and absent.metric("narthex_tombstones") == 3, 20, "the third replica's deletions")
    # so that it needs none of those that knew: the answer of this one and any other is complete
    for other in cluster.ingesters[1:]:
        other.kill()
        cluster.wait_healthy(2)
        assert counts(cluster, start_s) == {"kept": whole}
        other.start().wait_ready()
        cluster.wait_healthy(3)

    # without a majority it is refused, changes nothing that is read, and can be repeated
    for victim in cluster.ingesters[:2]:
        victim.kill()
    cluster.wait_healthy(1)
    answer = delete(cluster, '{group="kept",i="0"}')
    assert answer.status == 503, answer.text
    assert answer.json["errorType"] == "unavailable"
    for victim in cluster.ingesters[:2]:
        victim.start().wait_ready()
    cluster.wait_healthy(3)
    assert delete(cluster, '{group="kept",i="0"}').status == 204
    assert counts(cluster, start_s) == {"kept": whole - MINUTES}

    # carried out on disk, over restarts
    admin(cluster, "clean_tombstones")
    for node in cluster.ingesters:
        node.kill()
        node.start().wait_ready()
    cluster.wait_healthy(3)
    assert counts(cluster, start_s) == {"kept": whole - MINUTES}

    # what is written again is there
    send(remote_pb2, cluster, start_s, minutes=range(5, 8), name="gone")
    assert counts(cluster, start_s) == {"kept": whole - MINUTES, "gone": 3 * SERIES}
    admin(cluster, "flush")
    admin(cluster, "clean_tombstones")
    assert counts(cluster, start_s) == {"kept": whole - MINUTES, "gone": 3 * SERIES}


def test_blocks_are_compacted_and_samples_stay_as_they_were(cluster, remote_pb2):
    start_s = int(time.time()) // 60 * 60 - 3000
    for part in range(4):
        send(remote_pb2, cluster, start_s, minutes=range(part * 10, part * 10 + 10))
        admin(cluster, "flush")
    send(remote_pb2, cluster, start_s)  # all of it again: in other blocks, the same samples
    admin(cluster, "flush")
    for node in cluster.ingesters:
        harness.wait_until(lambda n=node: n.metric("narthex_compactions_total") > 0, 40, "a compaction")
        assert node.metric("narthex_compaction_failures_total") == 0
    assert counts(cluster, start_s) == {"kept": SERIES * MINUTES}
    for node in cluster.ingesters:
        node.kill()  # in the middle of whatever it does
        node.start().wait_ready()
    cluster.wait_healthy(3)
    assert counts(cluster, start_s) == {"kept": SERIES * MINUTES}
    total = cluster.querier.query(f"sum(sum_over_time(m[{60 * MINUTES + 60}s]))", start_s + 60 * MINUTES)
    assert float(total[0]["value"][1]) == sum(m * 100 + i for m in range(MINUTES) for i in range(SERIES))


def test_snapshot_starts_a_node(cluster, remote_pb2, tmp_path):
    start_s = int(time.time()) // 60 * 60 - 3000
    send(remote_pb2, cluster, start_s)
    answer = admin(cluster, "snapshot")
    name = answer.json["data"]["name"]
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", name)
    assert delete(cluster, '{group="kept"}').status == 204
    admin(cluster, "clean_tombstones")
    assert counts(cluster, start_s) == {}
    copies = 0
    for node in cluster.ingesters:
        path = node.data_dir / "snapshots" / name
        (port,) = harness.free_ports(1)
        # of the same partitions, alone
        alone = harness.Node("all", f"copy-{node.name}", port, tmp_path,
                             ["--ring.partitions=64", "--storage.retention=10y", *FLAGS])
        alone.argv = [a if not a.startswith("--storage.data-dir=") else f"--storage.data-dir={path}"
                      for a in alone.argv]
        alone.start().wait_ready()
        rows = alone.query(f"count_over_time(m[{60 * MINUTES + 60}s])", start_s + 60 * MINUTES)
        copies += sum(int(row["value"][1]) for row in rows)
        assert alone.stop() == 0
    assert copies == 3 * SERIES * MINUTES
    answer = cluster.querier.post("/api/v1/admin/tsdb/snapshot", {"skip_head": "maybe"})
    assert answer.status == 400
    assert answer.json["error"] == ('invalid parameter "skip_head": unable to parse boolean: '
                                    'strconv.ParseBool: parsing "maybe": invalid syntax')


def test_delete_checks_its_parameters(cluster):
    for params, text in (
        ({}, "no match[] parameter provided"),
        ({"match[]": "{"}, "match[]"),
        ({"match[]": '{a=~".*"}'}, "at least one non-empty matcher"),
        ({"match[]": "up", "start": "yesterday"}, "yesterday"),
    ):
        answer = cluster.querier.post("/api/v1/admin/tsdb/delete_series", params)
        assert answer.status == 400 and text in answer.json["error"], answer.text


def test_limits_of_tenants_are_read_again(tmp_path):
    (port,) = harness.free_ports(1)
    limits = tmp_path / "overrides.yml"
    limits.write_text("overrides:\n  anonymous: {storage.retention: 2h}\n")
    node = harness.Node("all", "limited", port, tmp_path,
                        [f"--tenants.overrides-file={limits}", "--web.enable-admin-api=true",
                         "--storage.retention=10y", *FLAGS])
    pb = harness.load_protos()
    node.start().wait_ready()
    try:
        writer = harness.Writer(pb, node.url)
        now_s = int(time.time())
        old = [({"__name__": "old"}, [((now_s - 7200 - 1200) * 1000, 1.0)])]
        new = [({"__name__": "new"}, [(now_s * 1000, 1.0)])]
        limits.write_text("overrides:\n  anonymous: {storage.retntion: 2h}\n")
        node.signal(signal.SIGHUP)
        harness.wait_until(lambda: "storage.retention" in node.log and "overrides.yml:2" in node.log, 10,
                           "the mistake in the log")
        assert writer.send(old).status == 204 and writer.send(new).status == 204
        # the limits of before are in force: two hours
        assert node.post("/api/v1/admin/tsdb/flush").status == 204
        harness.wait_until(lambda: node.metric("narthex_ingester_blocks_deleted_total", reason="age") == 1, 30,
                           "retention")
        limits.write_text("overrides:\n  anonymous: {storage.retention: 3d, storage.retention-bytes: 1}\n")
        answer = node.post("/-/reload")
        assert answer.status == 200, answer.text
        harness.wait_until(lambda: node.metric("narthex_ingester_blocks_deleted_total", reason="size") == 1, 30,
                           "retention by size")
        assert node.query("old", now_s) == [] and node.query("new", now_s) == []
    finally:
        node.kill()


def test_memory_above_its_limit_goes_to_blocks(tmp_path, remote_pb2):
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "tight", port, tmp_path,
                        ["--storage.max-memory=1MiB", "--storage.retention=10y", *FLAGS])
    node.start().wait_ready()
    try:
        now_s = int(time.time())
        rows = [({"__name__": "m", "i": str(i)}, [((now_s - 60 * k) * 1000, float(k)) for k in range(9, -1, -1)])
                for i in range(50)]
        assert harness.Writer(remote_pb2, node.url).send(rows).status == 204
        harness.wait_until(lambda: node.metric("narthex_ingester_pressure_flushes_total") > 0
                           and node.metric("narthex_ingester_blocks") > 0, 40, "an early block")
        rows = node.query("sum(count_over_time(m[20m]))", now_s)
        assert rows[0]["value"][1] == "500"
    finally:
        node.kill()
