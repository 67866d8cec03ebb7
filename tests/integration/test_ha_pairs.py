"""Two Prometheus servers that send the same: one is elected, the other takes over, on real processes."""

import time

import pytest

import harness

FAILOVER_S = 3


@pytest.fixture
def cluster(tmp_path, remote_pb2):
    overrides = tmp_path / "overrides.yml"
    overrides.write_text("overrides: {anonymous: {accept_ha_samples: true}}")
    made = harness.Cluster(tmp_path, distributor_flags=[
        f"--tenants.overrides-file={overrides}", f"--distributor.ha-failover-timeout={FAILOVER_S}s",
        "--distributor.ha-update-timeout=200ms"])
    second = harness.Node("distributor", "distributor-2", harness.free_ports(1)[0], tmp_path,
                          made.distributor.argv[4:])
    made.nodes.append(second)
    made.second = second
    made.start()
    yield made
    made.kill()


def push(pb, node, replica, value, name="m", **labels):
    rows = [({"__name__": name, "cluster": "c", "__replica__": replica, **labels},
             [(int(time.time() * 1000), float(value))])]
    for _ in range(50):
        status = harness.Writer(pb, node.url).send(rows).status
        if status != 503:  # which every sender repeats
            break
        time.sleep(0.1)
    return status


def test_one_is_elected_and_the_other_takes_over(cluster, remote_pb2):
    one, two = cluster.distributor, cluster.second
    assert push(remote_pb2, one, "a", 1) == 204
    end = time.time() + FAILOVER_S + 2
    while time.time() < end:
        assert push(remote_pb2, one, "a", 1) == 204
        # at the other distributor too, which has to ask
        assert push(remote_pb2, two, "b", 2) == 202
        time.sleep(0.2)
    last = time.time()
    harness.wait_until(lambda: push(remote_pb2, two, "b", 2) == 204, 10, "the other replica to be elected")
    took = time.time() - last
    assert FAILOVER_S - 0.5 <= took <= FAILOVER_S + 2
    # the first one is back, and is now the one that waits
    harness.wait_until(lambda: push(remote_pb2, one, "a", 1) == 202, 3, "the first replica to be refused")
    series = cluster.querier.get("/api/v1/series", {"match[]": "m"}).json["data"]
    assert series == [{"__name__": "m", "cluster": "c"}]
    assert one.metric("narthex_distributor_ha_deduplicated_samples_total") >= 1
    assert two.metric("narthex_distributor_ha_claims_total", outcome="elected") >= 1


def test_samples_without_the_labels_and_metadata_are_taken(cluster, remote_pb2):
    writer = harness.Writer(remote_pb2, cluster.distributor.url)
    now = int(time.time() * 1000)
    assert writer.send([({"__name__": "m", "cluster": "x"}, [(now, 1.0)])]).status == 204
    assert writer.send([({"__name__": "m", "__replica__": "x"}, [(now, 1.0)])]).status == 204
    assert writer.send([], metadata=[("m", 1, "help", "")]).status == 204


def test_election_survives_one_ingester_and_needs_a_majority(cluster, remote_pb2):
    one = cluster.distributor
    assert push(remote_pb2, one, "a", 1) == 204
    cluster.ingesters[0].kill()
    end = time.time() + 2
    while time.time() < end:
        assert push(remote_pb2, one, "a", 1) == 204
        assert push(remote_pb2, one, "b", 2) == 202
        time.sleep(0.2)
    cluster.ingesters[1].kill()
    rows = [({"__name__": "m", "cluster": "new", "__replica__": "a"}, [(int(time.time() * 1000), 1.0)])]
    assert harness.Writer(remote_pb2, one.url).send(rows).status == 503
