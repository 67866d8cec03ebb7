"""Members that leave, pause, restart, or do not belong: states, refusals, and writes that go on meanwhile."""

import json

import pytest

import harness
from file_cluster import ctl, members, wait_state

TIMEOUT_S = 2.0  # ring.heartbeat-timeout of the harness


def write(remote_pb2, cluster, k, series=200):
    writer = harness.Writer(remote_pb2, cluster.distributor.url)
    rows = [({"__name__": "member_test", "shard": str(i)}, [(1_700_000_000_000 + k * 1000, float(k))])
            for i in range(series)]
    return writer.send(rows)


@pytest.fixture
def four(tmp_path):
    made = harness.Cluster(tmp_path, ingesters=4, flags=["--ring.replication-factor=3"]).start()
    yield made
    try:
        made.stop()
    finally:
        made.kill()


def test_drain_ends_in_left_and_writes_go_on(four, remote_pb2):
    assert write(remote_pb2, four, 0).status == 204
    drain = ctl(four.distributor, "drain", "ingester-2", "--json")
    assert drain.returncode == 0, drain.stderr
    looks = [json.loads(line) for line in drain.stdout.splitlines()]
    assert looks[0]["state"] == "LEAVING" and looks[0]["partitions"] > 0
    assert looks[-1]["state"] == "LEFT"
    wait_state([four.distributor, four.querier], "ingester-2", "LEFT")
    shown = members(four.distributor)
    assert shown["ingester-2"]["partitions"] == 0
    assert sum(member["partitions"] for member in shown.values()) == 3 * 512
    for k in range(1, 4):
        assert write(remote_pb2, four, k).status == 204
    four.ingesters[1].stop()
    assert write(remote_pb2, four, 4).status == 204
    rows = four.querier.query("count_over_time(member_test[10s])", 1_700_000_005)
    assert len(rows) == 200 and {row["value"][1] for row in rows} == {"5"}
    assert ctl(four.distributor, "drain", "ingester-2").returncode != 0  # nobody there to ask
    four.ingesters[1].start()
    four.ingesters[1].wait_ready()
    assert members(four.ingesters[1])["ingester-2"]["state"] == "LEFT"


def test_drain_can_be_called_off(four):
    assert ctl(four.querier, "drain", "ingester-1", "--no-wait").returncode == 0
    wait_state([four.distributor], "ingester-1", "LEAVING")
    shown = members(four.distributor)
    assert shown["ingester-1"]["partitions"] > 0, "it is read until it has left"
    assert ctl(four.querier, "drain", "ingester-1", "--cancel").returncode == 0
    wait_state([four.distributor, four.querier], "ingester-1", "ACTIVE")


def test_leaving_member_waits_for_those_who_are_to_fill_first(four, remote_pb2):
    """Who comes to a partition is not whole for it because it was whole for others."""
    assert write(remote_pb2, four, 0).status == 204
    whole = members(four.querier)["ingester-4"]["wholePartitions"]
    assert whole < 512, "no more than it owns"
    assert ctl(four.querier, "drain", "ingester-1", "--no-wait").returncode == 0
    wait_state([four.distributor, four.querier], "ingester-1", "LEAVING")
    wait_state([four.distributor, four.querier], "ingester-1", "LEFT")
    rows = four.querier.query("count_over_time(member_test[10s])", 1_700_000_005)
    assert len(rows) == 200 and {row["value"][1] for row in rows} == {"1"}


def test_readonly_member_keeps_its_state_over_a_restart(four, remote_pb2):
    assert ctl(four.querier, "readonly", "ingester-3", "on").returncode == 0
    wait_state([four.distributor, four.querier], "ingester-3", "READONLY")
    before = four.ingesters[2].metric("narthex_ingester_samples_total")
    for k in range(3):
        assert write(remote_pb2, four, k).status == 204
    assert four.ingesters[2].metric("narthex_ingester_samples_total") == before
    four.ingesters[2].stop()
    four.ingesters[2].start()
    four.ingesters[2].wait_ready()
    wait_state([four.distributor, four.querier], "ingester-3", "READONLY")
    assert ctl(four.querier, "readonly", "ingester-3", "off").returncode == 0
    wait_state([four.distributor, four.querier], "ingester-3", "ACTIVE")


def test_readonly_member_counts_as_one_that_fails(cluster, remote_pb2):
    """Writes need both of the others; reads count on it, for what is acknowledged is on them."""
    written = 0

    def check():
        rows = cluster.querier.query("count_over_time(member_test[60s])", 1_700_000_000 + written - 1)
        assert len(rows) == 200 and {row["value"][1] for row in rows} == {str(written)}

    assert ctl(cluster.querier, "readonly", "ingester-1", "on").returncode == 0
    wait_state([cluster.distributor, cluster.querier], "ingester-1", "READONLY")
    while written < 5:
        assert write(remote_pb2, cluster, written).status == 204
        written += 1
    check()
    for victim in cluster.ingesters[1:]:
        victim.kill()
        harness.wait_until(lambda: write(remote_pb2, cluster, 10).status == 503, what="a refused write")
        check()
        victim.start()
        victim.wait_ready()
        harness.wait_until(lambda: write(remote_pb2, cluster, written).status == 204, what="writes again")
        written += 1
        check()
    assert ctl(cluster.querier, "readonly", "ingester-1", "off").returncode == 0
    wait_state([cluster.distributor, cluster.querier], "ingester-1", "ACTIVE")
    cluster.ingesters[1].kill()
    assert write(remote_pb2, cluster, written).status == 204
    written += 1
    check()


def test_too_few_members_refuse_to_leave_or_pause(cluster):
    drain = ctl(cluster.querier, "drain", "ingester-1")
    assert drain.returncode == 1
    assert "2 other members stay, too few for 3 copies: add one first" in drain.stderr
    assert ctl(cluster.querier, "readonly", "ingester-1", "on").returncode == 0
    wait_state(cluster.ingesters, "ingester-1", "READONLY")
    second = ctl(cluster.querier, "readonly", "ingester-2", "on")
    assert second.returncode == 1
    assert "would have 1 owners that take writes, fewer than a majority of 3" in second.stderr
    nobody = ctl(cluster.querier, "drain", "nobody")
    assert nobody.returncode == 1 and "there is no member of that name" in nobody.stderr
    assert ctl(cluster.querier, "readonly", "ingester-1", "maybe").returncode == 2


def test_restart_is_not_a_departure(cluster, remote_pb2):
    cluster.ingesters[0].stop()
    cluster.wait_healthy(2)
    shown = members(cluster.distributor)["ingester-1"]
    assert shown["state"] == "ACTIVE" and shown["partitions"] == 512 and not shown["healthy"]
    assert write(remote_pb2, cluster, 0).status == 204
    cluster.ingesters[0].start()
    cluster.wait_healthy(3)
    assert members(cluster.distributor)["ingester-1"]["state"] == "ACTIVE"


def test_second_process_of_a_name_is_refused(cluster, tmp_path, remote_pb2):
    (port,) = harness.free_ports(1)
    flags = [flag for flag in cluster.ingesters[0].argv[1:]
             if not str(flag).startswith(("ingester", "--server.listen", "--storage.data-dir", "--node.name"))]
    work = tmp_path / "second"
    work.mkdir()
    second = harness.Node("ingester", "ingester-1", port, work, flags)
    try:
        second.start()
        harness.wait_until(
            lambda: "uses the same name" in members(cluster.ingesters[1])["ingester-1"]["problem"], 60,
            "the conflict at a peer")
        harness.wait_until(
            lambda: f"another process calls from 127.0.0.1:{port}" in
            members(second)["ingester-2"]["problem"], 60, "the refusal at the second")
        assert "is in use: the member of that name answers at" in second.log
        assert members(cluster.ingesters[1])["ingester-1"]["healthy"]
        assert write(remote_pb2, cluster, 0).status == 204
    finally:
        second.kill()
    harness.wait_until(lambda: members(cluster.ingesters[1])["ingester-1"]["problem"] == "", 60,
                       "the end of the conflict")
