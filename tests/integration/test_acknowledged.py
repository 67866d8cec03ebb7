"""Exactly what was acknowledged: loads through kills, 503s, retries and forgotten ids end with the count and the sum of every
series as the writers remember them, and never with more than was sent. The value of a sample tells its series and its
round, so that one filed under another series cannot hide."""

import collections
import random
import shutil
import threading
import time

import pytest

import harness

ROUND_MS = 1000


def value_of(series, k):
    return float(series * 100000 + k)


class Writer:
    """Sends rounds of one sample for each of its series at an even pace, each round until it is acknowledged. With `gives_up`
    some rounds are not sent again after an error: they are in doubt, and may be there or not."""

    def __init__(self, pb, url, series, start_ms, pace_s=0.02, gives_up=None):
        self.http = harness.Writer(pb, url)
        self.series, self.start_ms, self.pace_s, self.random = series, start_ms, pace_s, gives_up
        self.acknowledged, self.doubtful, self.errors = set(), set(), collections.Counter()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def send(self, k):
        rows = [({"__name__": "exact", "n": str(i)}, [(self.start_ms + k * ROUND_MS, value_of(i, k))]) for i in self.series]
        try:
            status = self.http.send(rows).status
        except OSError:
            status = None
        if status != 204:
            self.errors[status] += 1
        return status == 204

    def run(self):
        k = 0
        while not self.stopping.is_set():
            while not self.send(k):
                if self.random and self.random.random() < 0.3:
                    self.doubtful.add(k)
                    break
                time.sleep(0.05)
            else:
                self.acknowledged.add(k)
            k += 1
            time.sleep(self.pace_s)

    def wait_rounds(self, count):
        goal = len(self.acknowledged) + count
        harness.wait_until(lambda: len(self.acknowledged) >= goal, 120, f"{count} rounds")

    def stop(self):
        self.stopping.set()
        self.thread.join(120)
        assert not self.thread.is_alive()

    @property
    def end_ms(self):
        return self.start_ms + (max(self.acknowledged | self.doubtful) + 1) * ROUND_MS


def check(querier, writers):
    """Count and sum by the queries that ask for them, and every sample."""
    end_s = max(writer.end_ms for writer in writers) / 1000
    window = f"{int(end_s - min(writer.start_ms for writer in writers) / 1000) + 10}s"
    ask = lambda what: {int(row["metric"]["n"]): float(row["value"][1])
                        for row in querier.query(f"{what}_over_time(exact[{window}])", end_s)}
    counts, sums = ask("count"), ask("sum")
    assert sorted(counts) == sorted(i for writer in writers for i in writer.series)
    samples = {int(row["metric"]["n"]): {(round(t * 1000), float(v)) for t, v in row["values"]}
               for row in querier.query(f"exact[{window}]", end_s)}
    for writer in writers:
        for i in writer.series:
            at = lambda rounds: {(writer.start_ms + k * ROUND_MS, value_of(i, k)) for k in rounds}
            acknowledged, sent = at(writer.acknowledged), at(writer.acknowledged | writer.doubtful)
            assert acknowledged <= samples[i], f"series {i} lacks {sorted(acknowledged - samples[i])[:3]}"
            assert samples[i] <= sent, f"series {i} has {sorted(samples[i] - sent)[:3]}, which nobody sent"
            if not writer.doubtful:
                assert counts[i] == len(acknowledged)
                assert sums[i] == sum(value for _, value in acknowledged)


def start_ms():
    return (int(time.time()) - 3000) * 1000


def restart(cluster, node, wipe=False):
    node.kill()
    if wipe:
        shutil.rmtree(node.data_dir)
    node.start()
    node.wait_ready()
    if not wipe:  # else it joins anew, which takes longer than there is to wait for here
        cluster.wait_healthy(len(cluster.ingesters), 60)


@pytest.fixture
def stopping():
    """Whatever happens, the writers end."""
    writers = []
    yield writers
    for writer in writers:
        writer.stopping.set()


def test_kills_503s_and_retries_leave_exactly_what_was_acknowledged(cluster, remote_pb2, stopping):
    url, begin = cluster.distributor.url, start_ms()
    writers = stopping
    writers += [Writer(remote_pb2, url, range(w * 50, w * 50 + 50), begin) for w in range(2)]
    writers.append(Writer(remote_pb2, url, range(500, 550), begin, gives_up=random.Random(5)))
    wait = lambda count: [writer.wait_rounds(count) for writer in writers]
    wait(10)
    cluster.ingesters[0].kill()
    wait(10)
    cluster.ingesters[1].kill()  # no majority: 503
    harness.wait_until(lambda: all(writer.errors[503] for writer in writers), 60, "503 for every writer")
    for node in cluster.ingesters[:2]:
        node.start()
    wait(10)
    cluster.wait_healthy(3, 60)
    cluster.distributor.kill()  # what was in flight is in doubt
    harness.wait_until(lambda: all(writer.errors[None] for writer in writers), 60, "refused connections")
    cluster.distributor.start()
    wait(10)
    for node in cluster.ingesters:
        node.kill()
    for node in cluster.ingesters:
        node.start()
    wait(10)
    for node in cluster.ingesters:
        node.wait_ready()
    cluster.wait_healthy(3, 60)
    wait(5)
    for writer in writers:
        writer.stop()
    assert writers[2].doubtful
    check(cluster.querier, writers)


@pytest.mark.parametrize("what", ["restarted", "wiped"])
def test_an_ingester_that_knows_no_ids_any_more_is_told_the_labels(cluster, remote_pb2, stopping, what):
    stopping.append(Writer(remote_pb2, cluster.distributor.url, range(300), start_ms()))
    writer = stopping[0]
    for node in cluster.ingesters[: 1 if what == "wiped" else 3]:  # the others have what a wiped one lacks
        writer.wait_rounds(10)
        restart(cluster, node, wipe=what == "wiped")
    harness.wait_until(lambda: cluster.ingesters[0].metric("narthex_ingester_series") == 300, 60, "all labels")
    writer.wait_rounds(10)
    writer.stop()
    assert not writer.errors[400]
    check(cluster.querier, [writer])


def test_a_cache_that_forgets_all_the_time_loses_nothing(tmp_path, remote_pb2, stopping):
    """Half as many entries as there are series: every round evicts, and ids are confirmed, forgotten and told again."""
    cluster = harness.Cluster(tmp_path, distributor_flags=["--distributor.series-cache-bytes=64KiB"])
    try:
        cluster.start()
        stopping += [Writer(remote_pb2, cluster.distributor.url, range(w * 700, w * 700 + 700), start_ms(), 0.05)
                     for w in range(3)]
        for writer in stopping:
            writer.wait_rounds(20)
        restart(cluster, cluster.ingesters[2])
        for writer in stopping:
            writer.wait_rounds(10)
            writer.stop()
            assert not writer.errors
        misses = cluster.distributor.metric("narthex_distributor_series_cache_requests_total", result="miss")
        assert misses > 2100 * 10, misses
        check(cluster.querier, stopping)
    finally:
        cluster.kill()


def test_ids_that_were_confirmed_and_then_expired_are_told_again(tmp_path, remote_pb2):
    """Series that lie far behind their tenant's newest sample leave the ingesters' memory with the next flush, while the
    distributor goes on to know them."""
    cluster = harness.Cluster(tmp_path, querier_flags=["--web.enable-admin-api=true"])
    try:
        cluster.start()
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        now = int(time.time()) * 1000
        at = lambda k: now + (k - 20) * ROUND_MS - (5 * 3600000 if k < 5 else 0)
        send = lambda k: writer.send([({"__name__": "exact", "n": str(i)}, [(at(k), value_of(i, k))])
                                      for i in range(200)]).status

        def in_memory():
            return sum(node.metric("narthex_ingester_series") for node in cluster.ingesters)

        def flush():
            answer = cluster.querier.post("/api/v1/admin/tsdb/flush", timeout=60)
            assert answer.status == 204, answer.text
            return in_memory() == 300

        assert [send(k) for k in range(5)] == [204] * 5
        assert in_memory() == 600
        # some in every shard of every ingester
        newest = [({"__name__": "newest", "n": str(i)}, [(at(5), 1.0)]) for i in range(100)]
        assert writer.send(newest).status == 204
        harness.wait_until(flush, 60, "series to leave the memory")
        misses = cluster.distributor.metric("narthex_distributor_series_cache_requests_total", result="miss")
        assert [send(k) for k in range(5, 10)] == [204] * 5
        assert cluster.distributor.metric("narthex_distributor_series_cache_requests_total", result="miss") == misses
        for what, expected in (("count", lambda i: 10), ("sum", lambda i: sum(value_of(i, k) for k in range(10)))):
            found = {int(row["metric"]["n"]): float(row["value"][1])
                     for row in cluster.querier.query(f"{what}_over_time(exact[6h])", now / 1000)}
            assert found == {i: expected(i) for i in range(200)}
    finally:
        cluster.kill()
