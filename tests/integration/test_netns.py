"""Links that are cut or slow, under a load with known values and a reader that checks every answer."""

import pytest

import netns
from netns import NetCluster, Network, names_of
from replicas import load_internal, wait_equal, wait_zones_equal
from test_elastic import Watch


@pytest.fixture(scope="module", autouse=True)
def permitted():
    reason = netns.skip_reason()
    if reason:
        pytest.skip(reason)


def run(tmp_path, body, **kwargs):
    """`body(cluster, network)` at the hub of a cluster that is whole."""
    with Network(names_of(kwargs.get("ingesters", 3))) as network:

        def inside():
            cluster = NetCluster(tmp_path, network, **kwargs)
            try:
                cluster.start()
                cluster.wait_whole()
                body(cluster, network)
            finally:
                cluster.kill()

        network.run(inside)


def test_ingester_that_is_cut_off_fails_nothing_and_heals(tmp_path, remote_pb2):
    pb = load_internal()

    def body(cluster, network):
        with Watch(cluster, remote_pb2) as watch:
            network.cut("ingester-2")
            cluster.wait_healthy(2)
            watch.load.wait_rounds(40)
            network.cut("ingester-2", False)
            cluster.wait_healthy(3)
            cluster.wait_whole()
            watch.load.wait_rounds(5)
        wait_equal(pb, cluster, watch.load.round_time(watch.load.acked))

    run(tmp_path, body)


def test_zone_that_is_cut_off_fails_nothing_and_heals(tmp_path, remote_pb2):
    pb = load_internal()

    def body(cluster, network):
        lost = [name for name, zone in cluster.zones.items() if zone == "c"]
        with Watch(cluster, remote_pb2) as watch:
            for name in lost:
                network.cut(name)
            cluster.wait_healthy(4)
            watch.load.wait_rounds(40)
            for name in lost:
                network.cut(name, False)
            cluster.wait_healthy(6)
            cluster.wait_whole()
            watch.load.wait_rounds(5)
        wait_zones_equal(pb, cluster, watch.load.round_time(watch.load.acked))

    run(tmp_path, body, ingesters=6, zones=["a", "a", "b", "b", "c", "c"], heartbeat_timeout="4s")


def test_distributor_that_does_not_reach_one_ingester_fails_nothing(tmp_path, remote_pb2):
    """The others reach it, and take it for healthy; what it misses is found by comparing."""
    pb = load_internal()

    def body(cluster, network):
        with Watch(cluster, remote_pb2) as watch:
            network.part(["distributor", "ingester-1"])
            watch.load.wait_rounds(40)
            assert cluster.healthy(cluster.querier) == 3
            assert cluster.healthy(cluster.distributor) == 2
            network.part(["distributor", "ingester-1"], False)
            cluster.wait_healthy(3)
            watch.load.wait_rounds(5)
        wait_equal(pb, cluster, watch.load.round_time(watch.load.acked))

    run(tmp_path, body)


def test_ingesters_that_do_not_reach_each_other_serve_and_compare_later(tmp_path, remote_pb2):
    pb = load_internal()

    def body(cluster, network):
        with Watch(cluster, remote_pb2) as watch:
            network.part(["ingester-1", "ingester-3"])
            watch.load.wait_rounds(40)
            network.part(["ingester-1", "ingester-3"], False)
            watch.load.wait_rounds(5)
        cluster.wait_whole()
        wait_equal(pb, cluster, watch.load.round_time(watch.load.acked))

    run(tmp_path, body)


def test_slow_link_costs_no_answer(tmp_path, remote_pb2):
    def body(cluster, network):
        if not network.delay("ingester-3", "delay", "100ms", "30ms", "loss", "2%"):
            pytest.skip("the kernel has no netem")
        with Watch(cluster, remote_pb2) as watch:
            watch.load.wait_rounds(60, 120)

    run(tmp_path, body)
