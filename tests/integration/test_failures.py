"""Ingesters that die in the middle of a load. The load's values are known, so that nothing missing and nothing extra can
hide."""

import signal
import threading
import time

import pytest

import harness

SERIES = 400
METRIC = "load_total"


def labels_of(i):
    return {"__name__": METRIC, "instance": f"host-{i % 20}:9100", "job": "load", "shard": str(i)}


def value_of(i, k):
    return float(i * 1000 + k)


ROUND_S = 0.04  # at most 25 rounds a second: a round is a second of sample time, and that may not run ahead of the clock


class Load:
    """Writes one sample a series and round until told to stop; keeps what was acknowledged. A round that gets
    503 is sent again, as Prometheus does."""

    def __init__(self, writer, start_ms, retry=True):
        self.writer = writer
        self.start_ms = start_ms
        self.retry = retry
        self.acked = 0
        self.failures = []
        self.latencies = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def round_time(self, k):
        return self.start_ms + k * 1000

    def _send(self, k):
        series = [(labels_of(i), [(self.round_time(k), value_of(i, k))]) for i in range(SERIES)]
        begin = time.monotonic()
        answer = self.writer.send(series)
        self.latencies.append(time.monotonic() - begin)
        return answer

    def _run(self):
        while not self._stop.is_set():
            begin = time.monotonic()
            try:
                answer = self._send(self.acked)
                status, text = answer.status, answer.text
            except OSError as error:
                status, text = None, str(error)
            if status == 204:
                self.acked += 1
                self._stop.wait(max(0.0, begin + ROUND_S - time.monotonic()))
            else:
                self.failures.append((status, text))
                self._stop.wait(0.1)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        self._thread.join(90)
        assert not self._thread.is_alive()

    def wait_rounds(self, more, timeout_s=60):
        goal = self.acked + more
        harness.wait_until(lambda: self.acked >= goal, timeout_s, f"{more} more rounds")


def check_complete(querier, load, partial=0):
    """The samples of every series are those that were acknowledged. A round that was in flight when the answer was lost
    may be there or not: at most `partial` rounds beyond. All from one answer: whether such a round is seen may depend on
    which replicas answer first."""
    at = (load.round_time(load.acked + 5)) / 1000
    rows = querier.query(f"{METRIC}[{load.acked + 10}s]", at)
    assert len(rows) == SERIES
    for row in rows:
        i, values = int(row["metric"]["shard"]), [float(value) for _, value in row["values"]]
        n = len(values)
        assert load.acked <= n <= load.acked + partial, f"series {i}: {n} samples of {load.acked}"
        assert values == [value_of(i, k) for k in range(n)], f"series {i}"


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
