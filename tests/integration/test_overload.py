"""Overload: one hanging ingester, and one tenant's flood, cost themselves and not the others."""

import signal
import threading
import time

import harness
import open_load

BOUND_S = 1.0  # far above what a push takes, far below the push time-out


def rows(count, now, name="m"):
    return [({"__name__": name, "i": str(i)}, [(now, float(i))]) for i in range(count)]


def percentile(times, p):
    return sorted(times)[min(len(times) - 1, int(len(times) * p))]


def test_a_stopped_ingester_costs_itself_and_not_its_peers(tmp_path, remote_pb2):
    cluster = harness.Cluster(
        tmp_path, flags=["--ring.heartbeat-timeout=60s"],
        distributor_flags=["--distributor.max-inflight-bytes=1MiB", "--distributor.push-timeout=20s"])
    try:
        cluster.start()
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        begin_ms = int(time.time() * 1000)

        def push(n):
            begin = time.monotonic()
            status = writer.send(rows(500, begin_ms + n)).status
            return status, time.monotonic() - begin

        before = [push(n) for n in range(100)]
        assert all(status == 204 for status, _ in before)
        victim = cluster.ingesters[0]
        victim.signal(signal.SIGSTOP)
        try:
            # it is healthy all the while, as far as anybody knows: only its queue says that it hangs
            during = [push(100 + n) for n in range(300)]
        finally:
            victim.signal(signal.SIGCONT)
        assert [status for status, _ in during if status != 204] == []
        assert percentile([t for _, t in during], 0.99) < BOUND_S
        assert cluster.distributor.metric("narthex_distributor_push_skipped_total", reason="overloaded") > 0
        assert cluster.distributor.metric("narthex_distributor_inflight_bytes") <= 1 << 20
        harness.wait_until(lambda: push(1000)[0] == 204, 10, "writes after the stop")
        expected = 500 * 400
        answer = cluster.querier.query("sum(count_over_time(m[10m]))", time.time() + 60)
        assert int(answer[0]["value"][1]) >= expected
    finally:
        cluster.kill()


def test_a_flood_of_one_tenant_leaves_room_for_another(tmp_path, remote_pb2):
    cluster = harness.Cluster(
        tmp_path, flags=["--auth.multitenancy=true"],
        distributor_flags=["--distributor.max-inflight-bytes=3MiB", "--limits.ingestion-rate=0",
                           "--distributor.max-decoded-bytes=512KiB", "--distributor.max-body-bytes=256KiB"],
        ingester_flags=["--limits.max-global-series-per-user=0"])
    stop = threading.Event()
    flood = {204: 0, 503: 0}
    try:
        cluster.start()
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        body = writer.encode(rows(3000, int(time.time() * 1000)))

        def run():
            while not stop.is_set():
                status = writer.send_raw(body, headers={"X-Scope-OrgID": "flood"}).status
                flood[status] = flood.get(status, 0) + 1
                if status == 503:
                    time.sleep(0.05)  # it was told to wait, and does not wait long

        threads = [threading.Thread(target=run) for _ in range(24)]
        for thread in threads:
            thread.start()
        small = writer.encode(rows(5, int(time.time() * 1000), "small"))
        answers, times = [], []
        end = time.time() + 5
        while time.time() < end or len(answers) < 100:
            begin = time.monotonic()
            answers.append(writer.send_raw(small, headers={"X-Scope-OrgID": "small"}))
            times.append(time.monotonic() - begin)
        stop.set()
        for thread in threads:
            thread.join()
        assert flood[503] > 0 and flood[204] > 0, flood
        refused = [(a.status, a.text) for a in answers if a.status != 204]
        assert len(refused) <= len(answers) * 0.02, (refused, len(answers))
        assert percentile(times, 0.99) < BOUND_S
        assert cluster.distributor.metric("narthex_distributor_tenant_overloaded_requests_total") > 0
    finally:
        stop.set()
        cluster.kill()


def test_ten_times_the_load_is_refused_with_bounds_and_forgotten_soon(tmp_path):
    """The short form of tests/bench/overload."""
    cluster = harness.Cluster(tmp_path, distributor_flags=["--distributor.max-inflight-bytes=8MiB"])
    try:
        cluster.start()
        port = cluster.distributor.port
        bodies = open_load.Bodies(500, 10, 12000, (int(time.time()) - 3600) * 1000)
        open_load.run(port, bodies, 1, None, 2)
        can = min(open_load.run(port, bodies, 2, None, 2).rate(), 400)
        before = cluster.distributor.resident_bytes()
        flood = open_load.run(port, bodies, 6, can * 10, 200)
        assert cluster.distributor.metric("narthex_distributor_inflight_bytes") <= 8 << 20
        after = open_load.run(port, bodies, 16, can / 4, 16)
        grown = cluster.distributor.resident_bytes() - before
        assert flood.of(204) and flood.percentile(0.99) < 10
        assert set(status for _, status, _ in flood.answers) <= {204, 503}
        assert grown < 256 << 20, grown
        # promised: 5 s; in there is what a busy machine takes
        recovered = open_load.seconds_to_recover(after, can / 4)
        assert recovered is not None and recovered <= 15, recovered
    finally:
        cluster.kill()
