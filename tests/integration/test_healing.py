"""Replicas that were killed, wiped or stopped in the middle of a load become whole by themselves: their digests become
those of the other owners, and each replica alone gives every sample."""

import shutil
import signal
import subprocess
import time

import pytest

import harness
from known_load import METRIC, SERIES, Load, check_complete, value_of
from replicas import digests, is_whole, load_internal, status_of, wait_equal
from test_failures import check_query_works

PARTITIONS = 64


@pytest.fixture(scope="module")
def internal_pb2():
    return load_internal()


@pytest.fixture
def cluster(tmp_path):
    cluster = harness.Cluster(
        tmp_path, flags=[f"--ring.partitions={PARTITIONS}"],
        ingester_flags=["--repair.interval=2s"], querier_flags=["--web.enable-admin-api=true"],
    )
    try:
        yield cluster.start()
    finally:
        for node in cluster.nodes:
            if node.alive:
                node.signal(signal.SIGCONT)
        cluster.kill()


def check_each_alone(cluster, load):
    """Each replica by itself, the others being down."""
    for alone in cluster.ingesters:
        others = [node for node in cluster.ingesters if node is not alone]
        for node in others:
            node.kill()
        cluster.wait_healthy(1)
        at = (load.round_time(load.acked + 5)) / 1000
        window = load.acked + 10
        answers = {}
        for function in ("count", "sum"):
            answer = cluster.querier.post("/api/v1/query", {
                "query": f"{function}_over_time({METRIC}[{window}s])", "time": at, "partial_response": "true"})
            assert answer.status == 200 and answer.json["warnings"], answer.text
            answers[function] = {int(s["metric"]["shard"]): float(s["value"][1])
                                 for s in answer.json["data"]["result"]}
        assert answers["count"] == {i: load.acked for i in range(SERIES)}, alone.name
        for i, total in answers["sum"].items():
            assert total == sum(value_of(i, k) for k in range(load.acked)), f"{alone.name}: series {i}"
        for node in others:
            node.start()
        for node in others:
            node.wait_ready()
        cluster.wait_healthy(3)


@pytest.fixture
def load(cluster, remote_pb2):
    writer = harness.Writer(remote_pb2, cluster.distributor.url)
    start_ms = (int(time.time()) - 3000) * 1000
    with Load(writer, start_ms) as running:
        running.wait_rounds(40)
        yield running


def ctl_repair(cluster, what):
    address = f"--address=127.0.0.1:{cluster.querier.port}"
    return subprocess.run([harness.NARTHEX, "ctl", "repair", what, address], capture_output=True, text=True, timeout=60)


def test_ctl_tells_who_is_not_whole(cluster, load):
    load.stop()
    harness.wait_until(lambda: ctl_repair(cluster, "status").returncode == 0, 60, "all whole")
    told = ctl_repair(cluster, "status").stdout.splitlines()
    assert [line.split()[:3] for line in told[1:]] == [
        [node.name, "ACTIVE", "whole"] for node in cluster.ingesters]
    cycles = status_of(cluster.ingesters[0])["cycles"]
    assert ctl_repair(cluster, "now").returncode == 0
    harness.wait_until(lambda: status_of(cluster.ingesters[0])["cycles"] > cycles, 60, "another comparison")
    cluster.ingesters[1].kill()
    answer = ctl_repair(cluster, "status")
    assert answer.returncode == 1 and "no answer" in answer.stdout
    assert ctl_repair(cluster, "sometimes").returncode == 2


def finish(pb, cluster, load):
    load.stop()
    assert load.failures == []
    wait_equal(pb, cluster, load.round_time(load.acked), partitions=PARTITIONS)
    harness.wait_until(lambda: all(is_whole(node) for node in cluster.ingesters), 120, "all whole")
    check_complete(cluster.querier, load)
    check_each_alone(cluster, load)


def test_wiped_ingester_is_whole_again_under_load(cluster, load, internal_pb2):
    victim = cluster.ingesters[1]
    victim.kill()
    load.wait_rounds(30)
    shutil.rmtree(victim.data_dir)
    victim.start()
    victim.wait_ready()
    joined = time.monotonic()
    while status_of(victim)["state"] != "ACTIVE":
        assert time.monotonic() - joined < 60, victim.log[-3000:]
        check_query_works(cluster, load)
        load.wait_rounds(2)
    assert status_of(victim)["pulledSamples"] >= 40 * SERIES
    cluster.wait_healthy(3)
    load.wait_rounds(10)
    finish(internal_pb2, cluster, load)


def test_killed_ingester_pulls_what_it_missed(cluster, load, internal_pb2):
    victim = cluster.ingesters[2]
    victim.kill()
    cluster.wait_healthy(2)
    load.wait_rounds(60)
    victim.start()
    victim.wait_ready()
    cluster.wait_healthy(3)
    load.wait_rounds(5)
    finish(internal_pb2, cluster, load)
    assert sum(status_of(node)["cycles"] for node in cluster.ingesters) > 0


def test_ingester_that_hung_pulls_what_it_missed(cluster, load, internal_pb2):
    victim = cluster.ingesters[0]
    victim.signal(signal.SIGSTOP)
    cluster.wait_healthy(2)
    begin = time.monotonic()
    while time.monotonic() - begin < 10:
        load.wait_rounds(5, 60)
        check_query_works(cluster, load)
    victim.signal(signal.SIGCONT)
    cluster.wait_healthy(3)
    load.wait_rounds(5)
    finish(internal_pb2, cluster, load)


def test_deletion_that_was_missed_is_learnt_without_a_query(cluster, load, internal_pb2):
    load.stop()
    victim = cluster.ingesters[0]
    wait_equal(internal_pb2, cluster, load.round_time(load.acked), partitions=PARTITIONS)
    victim.kill()
    cluster.wait_healthy(2)
    answer = cluster.querier.post("/api/v1/admin/tsdb/delete_series", {"match[]": f'{METRIC}{{shard=~"1.*"}}'})
    assert answer.status == 204, answer.text
    victim.start()
    victim.wait_ready()
    cluster.wait_healthy(3)
    until_ms = load.round_time(load.acked)
    deleted = sum(1 for i in range(SERIES) if str(i).startswith("1"))
    # The others' digests may still be those before the deletion, and so be equal for a moment.
    harness.wait_until(
        lambda: sum(n for n, _ in digests(internal_pb2, victim, until_ms, PARTITIONS).values()) == (SERIES - deleted) * load.acked,
        60, "a digest without the deleted series")
    wait_equal(internal_pb2, cluster, until_ms, partitions=PARTITIONS)
