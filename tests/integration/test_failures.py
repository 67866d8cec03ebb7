"""Ingesters that die in the middle of a load."""

import signal
import time

import pytest

import harness
from known_load import METRIC, SERIES, Load, check_complete, labels_of


@pytest.fixture
def load(cluster, remote_pb2):
    writer = harness.Writer(remote_pb2, cluster.distributor.url)
    start_ms = (int(time.time()) - 1200) * 1000
    with Load(writer, start_ms) as running:
        running.wait_rounds(20)
        yield running


def test_one_of_three_killed_under_load_loses_and_fails_nothing(cluster, load):
    victim = cluster.ingesters[1]
    victim.kill()
    load.wait_rounds(20)
    check_query_works(cluster, load)
    cluster.wait_healthy(2)
    load.wait_rounds(20)
    check_query_works(cluster, load)
    victim.start()
    victim.wait_ready()
    cluster.wait_healthy(3)
    load.wait_rounds(20)
    load.stop()
    assert load.failures == []
    check_complete(cluster.querier, load)


def check_query_works(cluster, load):
    at = load.round_time(load.acked) / 1000
    result = cluster.querier.query(f"count({METRIC})", at)
    assert float(result[0]["value"][1]) == SERIES


def test_each_replica_alone_lost_leaves_every_sample_readable(cluster, load):
    load.stop()
    assert load.failures == []
    for victim in cluster.ingesters:
        victim.kill()
        check_complete(cluster.querier, load)
        victim.start()
        victim.wait_ready()
        cluster.wait_healthy(3)


def test_two_of_three_killed_refuses_and_keeps_what_was_acknowledged(cluster, load):
    victims = cluster.ingesters[1:]
    for victim in victims:
        victim.kill()
    harness.wait_until(lambda: load.failures, 60, "a refused write")
    load.stop()
    status, text = load.failures[-1]
    assert status == 503, text
    answer = load.writer.send([(labels_of(0), [(load.round_time(load.acked), 0.0)])])
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    answer = cluster.querier.post("/api/v1/query", {"query": METRIC, "time": time.time()})
    assert answer.status == 503 or answer.json.get("warnings"), answer.text
    assert "ingester" in answer.text
    answer = cluster.querier.post(
        "/api/v1/query",
        {"query": f"count({METRIC})", "time": load.round_time(load.acked) / 1000, "partial_response": "true"},
    )
    assert answer.status == 200 and answer.json["warnings"], answer.text
    for victim in victims:
        victim.start()
    for victim in victims:
        victim.wait_ready()
    cluster.wait_healthy(3)
    check_complete(cluster.querier, load, partial=1)


def test_all_killed_at_once_keep_what_was_acknowledged(cluster, load):
    for victim in cluster.ingesters:
        victim.kill()
    load.stop()
    for victim in cluster.ingesters:
        victim.start()
    for victim in cluster.ingesters:
        victim.wait_ready()
    cluster.wait_healthy(3)
    check_complete(cluster.querier, load, partial=1)


def test_a_node_that_hangs_delays_but_fails_nothing(cluster, load):
    victim = cluster.ingesters[0]
    victim.signal(signal.SIGSTOP)
    try:
        load.wait_rounds(20, 60)
        cluster.wait_healthy(2)
        check_query_works(cluster, load)
    finally:
        victim.signal(signal.SIGCONT)
    cluster.wait_healthy(3)
    load.wait_rounds(5)
    load.stop()
    assert load.failures == []
    check_complete(cluster.querier, load)


def test_dead_ingester_is_noticed_within_seconds(cluster):
    cluster.ingesters[2].kill()
    cluster.wait_healthy(2, 15)


def test_rolling_restart_under_load_fails_nothing(cluster, load):
    for node in cluster.ingesters:
        assert node.stop() == 0
        load.wait_rounds(5)
        node.start()
        node.wait_ready()
        cluster.wait_healthy(3)
        load.wait_rounds(5)
    load.stop()
    assert load.failures == []
    check_complete(cluster.querier, load)
