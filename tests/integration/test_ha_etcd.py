"""Elections of replicas in etcd, where the ring lives there: they outlive every ingester, and a stop of etcd for a while."""

import base64
import json
import shutil
import time

import pytest

import harness
from etcd_cluster import Etcd, EtcdCluster

pytestmark = pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd-server is not installed")

FAILOVER_S = 4


@pytest.fixture
def etcd(tmp_path):
    made = Etcd(tmp_path, 1).start()
    yield made
    made.kill()


@pytest.fixture
def cluster(tmp_path, etcd):
    overrides = tmp_path / "overrides.yml"
    overrides.write_text("overrides: {anonymous: {accept_ha_samples: true}}")
    flags = [f"--tenants.overrides-file={overrides}", f"--distributor.ha-failover-timeout={FAILOVER_S}s",
             "--distributor.ha-update-timeout=200ms"]
    made = EtcdCluster(tmp_path, etcd.endpoints)
    made.distributor.argv += flags
    made.second = harness.Node("distributor", "distributor-2", harness.free_ports(1)[0], tmp_path, made.shared + flags)
    made.nodes.append(made.second)
    made.start()
    yield made
    made.kill()


def push(pb, node, replica, value=1.0, group="c"):
    rows = [({"__name__": "m", "cluster": group, "__replica__": replica}, [(int(time.time() * 1000), value)])]
    return harness.Writer(pb, node.url).send(rows).status


def push_again(pb, node, replica, group="c"):
    """As every sender does after 503."""
    return harness.wait_until(lambda: (status := push(pb, node, replica, group=group)) != 503 and status, 60, "an answer")


def elections(etcd):
    """{key: elected replica}, as etcd has them."""
    text = lambda t: base64.b64encode(t.encode()).decode()
    body = json.dumps({"key": text("/narthex/shop/ha/"), "range_end": text("/narthex/shop/ha0")}).encode()
    kvs = harness.http("POST", f"{etcd.endpoints}/v3/kv/range", body).json.get("kvs", [])
    return {base64.b64decode(kv["key"]).decode(): base64.b64decode(kv["value"]).decode().split(" ", 1)[1] for kv in kvs}


def send_both(pb, cluster, seconds):
    """The elected one is taken and the other one dropped, each at its own distributor."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert push_again(pb, cluster.distributor, "a") == 204
        assert push_again(pb, cluster.second, "b") == 202
        time.sleep(0.2)


def test_one_is_elected_and_the_other_takes_over(cluster, etcd, remote_pb2):
    assert push_again(remote_pb2, cluster.distributor, "a") == 204
    send_both(remote_pb2, cluster, FAILOVER_S + 2)
    assert list(elections(etcd).values()) == ["a"]
    assert push_again(remote_pb2, cluster.second, "x", "another") == 204
    assert sorted(elections(etcd).values()) == ["a", "x"]
    last = time.monotonic()
    harness.wait_until(lambda: time.sleep(0.1) or push(remote_pb2, cluster.second, "b") == 204, 60, "a fail-over")
    assert time.monotonic() - last > FAILOVER_S - 1.5
    harness.wait_until(lambda: push(remote_pb2, cluster.distributor, "a") == 202, 30, "the first replica to be refused")
    assert "b" in elections(etcd).values()
    series = cluster.querier.get("/api/v1/series", {"match[]": "m"}).json["data"]
    assert sorted(row["cluster"] for row in series) == ["another", "c"] and "__replica__" not in series[0]
    assert cluster.second.metric("narthex_distributor_ha_claims_total", outcome="elected") >= 1


def test_an_election_outlives_all_ingesters(cluster, etcd, remote_pb2):
    assert push_again(remote_pb2, cluster.distributor, "b") == 204
    for node in cluster.ingesters:
        node.kill()
    for node in cluster.ingesters:
        node.start()
    for node in cluster.ingesters:
        node.wait_ready()
    cluster.wait_members(3)
    # "a" would win where nobody remembers
    end = time.monotonic() + FAILOVER_S + 1
    while time.monotonic() < end:
        assert push(remote_pb2, cluster.second, "a") in (202, 503)
        harness.wait_until(lambda: push(remote_pb2, cluster.distributor, "b") == 204, 30, "writes")
        time.sleep(0.2)
    assert list(elections(etcd).values()) == ["b"]


def test_the_last_word_counts_while_etcd_is_away(cluster, etcd, remote_pb2):
    send_both(remote_pb2, cluster, 1)
    etcd.kill()
    begin = time.monotonic()
    while time.monotonic() < begin + 1:
        assert push(remote_pb2, cluster.distributor, "a") == 204
        time.sleep(0.1)
    harness.wait_until(lambda: push(remote_pb2, cluster.distributor, "a") == 503, 60, "503 once nobody knows")
    etcd.start()
    harness.wait_until(lambda: push(remote_pb2, cluster.distributor, "a") == 204, 60, "the election to go on")
