"""Replicas that do not answer while everybody still takes them for healthy: one is not waited for, two make an answer that is
incomplete, and says so where that is asked for."""

import signal
import time

import pytest

import harness
from known_load import METRIC, SERIES, Load, check_complete

AWAY_S = 60  # what a member may be silent for: longer than anything here takes


@pytest.fixture
def cluster(tmp_path):
    made = harness.Cluster(tmp_path, flags=[f"--ring.heartbeat-timeout={AWAY_S}s"])
    try:
        yield made.start()
    finally:
        made.kill()


@pytest.fixture
def load(cluster, remote_pb2):
    writer = harness.Writer(remote_pb2, cluster.distributor.url)
    with Load(writer, (int(time.time()) - 1200) * 1000) as running:
        running.wait_rounds(20)
        running.stop()
        assert running.failures == []
        yield running


def count(cluster, load, **params):
    return cluster.querier.post("/api/v1/query", {
        "query": f"count({METRIC})", "time": load.round_time(load.acked - 1) / 1000, **params})


def test_one_that_hangs_is_not_waited_for(cluster, load):
    for victim in cluster.ingesters:
        victim.freeze()
        begin = time.monotonic()
        answer = count(cluster, load)
        assert answer.status == 200 and "warnings" not in answer.json, answer.text
        assert answer.json["data"]["result"][0]["value"][1] == str(SERIES)
        check_complete(cluster.querier, load)
        assert time.monotonic() - begin < AWAY_S / 2, "it was waited for"
        assert cluster.healthy(cluster.querier) == 3, "nobody knows yet"
        victim.signal(signal.SIGCONT)


def test_two_that_hang_make_an_answer_incomplete(cluster, load):
    hung = cluster.ingesters[:2]
    for victim in hung:
        victim.freeze()
    refused = count(cluster, load, timeout="3s")
    assert refused.status in (503, 504), refused.text
    partial = count(cluster, load, timeout="3s", partial_response="true")
    assert partial.status == 200, partial.text
    (warning,) = partial.json["warnings"]
    for node in hung:
        assert node.name in refused.text and node.name in warning
    assert cluster.ingesters[2].name not in warning
    assert partial.json["data"]["result"][0]["value"][1] == str(SERIES), "one replica has it all"
    for victim in hung:
        victim.signal(signal.SIGCONT)
    harness.wait_until(lambda: count(cluster, load).status == 200, what="a complete answer")
    check_complete(cluster.querier, load)
