"""A cluster that grows, shrinks and loses a zone under a load with known values, while a reader checks every answer."""

import os
import signal
import subprocess
import time

import pytest

import harness
from file_cluster import FileCluster, ctl, members, wait_state
from known_load import Load, Reader, check_complete
from replicas import digests, load_internal, wait_equal, wait_zones_equal
from test_full_disk import fill


class Watch:
    """A load and a reader over a block of code; none of their requests may fail."""

    def __init__(self, cluster, remote_pb2):
        self.cluster = cluster
        self.load = Load(harness.Writer(remote_pb2, cluster.distributor.url), (int(time.time()) - 3000) * 1000,
                         series=200, round_s=0.1)
        self.reader = Reader(cluster.querier, self.load)

    def __enter__(self):
        self.load.__enter__()
        self.load.wait_rounds(20)
        self.reader.__enter__()
        return self

    def __exit__(self, kind, *_):
        self.reader.stop()
        self.load.stop()
        if kind is None:
            assert self.load.failures == []
            assert self.reader.failures == []
            assert self.reader.answers > 0
            check_complete(self.cluster.querier, self.load)


def test_scale_from_three_to_six_and_back_under_load(tmp_path, remote_pb2):
    cluster = FileCluster(tmp_path)
    new = ["ingester-4", "ingester-5", "ingester-6"]
    both = lambda: (cluster.distributor, cluster.querier)
    try:
        cluster.start()
        cluster.wait_whole()
        with Watch(cluster, remote_pb2) as watch:
            for name in new:
                cluster.add(name)
            for name in new:
                wait_state(both(), name, "ACTIVE")
            shown = members(cluster.querier)
            assert all(0 < member["partitions"] < 512 for member in shown.values()), shown
            cluster.wait_whole()
            watch.load.wait_rounds(10)
            for name in new:
                assert ctl(cluster.querier, "drain", name, "--no-wait").returncode == 0
            for name in new:
                wait_state(both(), name, "LEFT")
            for name in new:
                cluster.remove(name)
            watch.load.wait_rounds(10)
            cluster.wait_whole()
        assert {member["partitions"] for member in members(cluster.querier).values()} == {512}
    finally:
        cluster.kill()


def test_zone_that_hangs_fails_nothing_and_is_whole_again(tmp_path, remote_pb2):
    cluster = FileCluster(tmp_path, ingesters=6, zones=["a", "a", "b", "b", "c", "c"],
                          heartbeat_timeout="4s")
    pb = load_internal()
    lost = [node for node in cluster.ingesters if cluster.zones[node.name] == "b"]
    try:
        cluster.start()
        cluster.wait_whole()
        for name, member in members(cluster.querier).items():
            assert member["zone"] == cluster.zones[name]
        with Watch(cluster, remote_pb2) as watch:
            for node in lost:
                node.signal(signal.SIGSTOP)
            cluster.wait_healthy(4)
            watch.load.wait_rounds(100)
            for node in lost:
                node.signal(signal.SIGCONT)
            cluster.wait_healthy(6)
            cluster.wait_whole()
            watch.load.wait_rounds(10)
        until_ms = watch.load.round_time(watch.load.acked)
        wait_zones_equal(pb, cluster, until_ms)
    finally:
        for node in cluster.nodes:
            if node.alive:
                node.signal(signal.SIGCONT)
        cluster.kill()


@pytest.fixture
def small_disk(tmp_path):
    """The second ingester's directory, on a disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    path = tmp_path / "data-ingester-2"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", path], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_replica_with_a_full_disk_fails_nothing_and_heals(tmp_path, small_disk, remote_pb2):
    cluster = FileCluster(tmp_path, flags=["--storage.wal-segment-size=1MiB"])
    for node in (cluster.distributor, cluster.querier):
        node.argv.remove("--storage.wal-segment-size=1MiB")
    pb = load_internal()

    def held(node, until_ms):
        return sum(n for n, _ in digests(pb, node, until_ms).values())

    try:
        cluster.start()
        cluster.wait_whole()
        with Watch(cluster, remote_pb2) as watch:
            ballast = fill(small_disk)
            until_ms = watch.load.round_time(watch.load.acked + 1000)
            harness.wait_until(lambda: held(cluster.ingesters[1], until_ms) < held(cluster.ingesters[0], until_ms) - 2000,
                               120, "samples that found no room")
            watch.load.wait_rounds(10)
            ballast.unlink()
            watch.load.wait_rounds(10)
        wait_equal(pb, cluster, watch.load.round_time(watch.load.acked))
        cluster.wait_whole()
    finally:
        cluster.kill()
