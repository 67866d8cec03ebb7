"""Members in a packaged etcd: birth, joins, names, forgetting; and that a cluster serves on when etcd does not."""

import json
import shutil
import subprocess

import pytest

import harness
from etcd_cluster import Etcd, EtcdCluster
from file_cluster import ctl, members

pytestmark = pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd-server is not installed")


def write(remote_pb2, cluster, k):
    writer = harness.Writer(remote_pb2, cluster.distributor.url)
    return writer.send([({"__name__": "etcd_test", "shard": str(i)},
                         [(1_700_000_000_000 + k * 1000, float(k))]) for i in range(100)])


def count(cluster, k):
    result = cluster.querier.query("count(etcd_test)", 1_700_000_000 + k)
    return int(result[0]["value"][1])


def run_to_its_end(node, timeout_s=60):
    done = subprocess.run(node.argv, capture_output=True, text=True, timeout=timeout_s, check=False)
    return done.returncode, done.stderr


@pytest.fixture
def etcd(tmp_path):
    made = Etcd(tmp_path, 1).start()
    yield made
    made.kill()


@pytest.fixture
def cluster(tmp_path, etcd):
    made = EtcdCluster(tmp_path, etcd.endpoints).start()
    yield made
    try:
        made.stop()
    finally:
        made.kill()


def test_members_find_each_other_and_serve_while_etcd_is_away(cluster, etcd, remote_pb2):
    assert write(remote_pb2, cluster, 0).status == 204
    assert count(cluster, 0) == 100
    etcd.kill()
    harness.wait_until(lambda: "the list of members stays as it is" in cluster.distributor.log, 60,
                       "the distributor to miss etcd")
    for k in range(1, 4):
        assert write(remote_pb2, cluster, k).status == 204
        assert count(cluster, k) == 100
    cluster.ingesters[0].kill()
    assert write(remote_pb2, cluster, 5).status == 204
    cluster.wait_healthy(2)
    assert count(cluster, 5) == 100
    assert len(members(cluster.distributor)) == 3
    etcd.start()
    cluster.ingesters[0].start()
    cluster.ingesters[0].wait_ready()
    cluster.wait_members(3)
    harness.wait_until(lambda: "the list of members can be read again" in cluster.distributor.log, 60,
                       "the distributor to find etcd")
    assert write(remote_pb2, cluster, 6).status == 204


def test_new_member_is_learnt_at_once_and_forgotten_when_gone(cluster, remote_pb2):
    added = cluster.ingester("ingester-4", "--node.zone=z4", "--node.weight=2.5")
    added.start()
    added.wait_ready()
    cluster.wait_members(4)
    shown = members(cluster.distributor)["ingester-4"]
    assert shown["zone"] == "z4" and shown["weight"] == 2.5
    assert write(remote_pb2, cluster, 0).status == 204
    alive = ctl(cluster.distributor, "forget", "ingester-4")
    assert alive.returncode == 1 and "it answers, and is" in alive.stderr
    added.kill()
    harness.wait_until(lambda: not members(cluster.distributor)["ingester-4"]["healthy"], 60, "its death")
    gone = ctl(cluster.distributor, "forget", "ingester-4", "--json")
    assert gone.returncode == 0, gone.stderr
    assert json.loads(gone.stdout) == {"forgotten": "ingester-4"}
    cluster.wait_members(3)


def test_member_silent_for_long_is_forgotten_once_its_copies_are_elsewhere(tmp_path, etcd, remote_pb2):
    cluster = EtcdCluster(tmp_path, etcd.endpoints, ingesters=4)
    for node in cluster.nodes:
        node.argv.append("--ring.forget-after=4s")
    rounds = 5

    def check():
        rows = cluster.querier.query("count_over_time(etcd_test[60s])", 1_700_000_000 + rounds - 1)
        assert len(rows) == 100 and {row["value"][1] for row in rows} == {str(rounds)}

    try:
        cluster.start()
        for k in range(rounds):
            assert write(remote_pb2, cluster, k).status == 204
        check()
        cluster.ingesters[3].kill()
        for node in (cluster.distributor, cluster.querier):
            harness.wait_until(lambda n=node: "ingester-4" not in members(n), 120, f"its end at {node.name}")
        check()
        # three copies again: one of the others may be lost
        for victim in cluster.ingesters[:3]:
            victim.kill()
            check()
            victim.start()
            victim.wait_ready()
            cluster.wait_members(3)
    finally:
        cluster.kill()


def test_other_partitions_are_refused_with_the_birth_record(cluster):
    wrong = cluster.ingester("ingester-9", "--ring.partitions=256")
    status, text = run_to_its_end(wrong)
    assert status == 2
    assert ('cluster "shop" was born with ring.partitions 512 and ring.replication-factor 3' in text
            and "this node has 256 and 3" in text), text


def test_second_process_of_a_name_is_refused(cluster, remote_pb2, tmp_path):
    second = cluster.ingester("ingester-1")
    second.argv = [a.replace(str(second.data_dir), str(tmp_path / "other")) for a in second.argv]
    status, text = run_to_its_end(second)
    assert status != 0
    assert (f'node.name: "ingester-1" is in use by another process, at '
            f"127.0.0.1:{cluster.ingesters[0].port}") in text, text
    assert members(cluster.distributor)["ingester-1"]["healthy"]
    assert write(remote_pb2, cluster, 0).status == 204


def test_three_etcds_one_and_then_all_killed(tmp_path, remote_pb2):
    etcd = Etcd(tmp_path, 3).start()
    cluster = EtcdCluster(tmp_path, etcd.endpoints)
    try:
        cluster.start()
        assert write(remote_pb2, cluster, 0).status == 204
        etcd.processes[0].kill()
        added = cluster.ingester("ingester-4")
        added.start()
        added.wait_ready()
        cluster.wait_members(4)
        assert write(remote_pb2, cluster, 1).status == 204
        etcd.kill()
        for k in range(2, 12):
            assert write(remote_pb2, cluster, k).status == 204
            assert count(cluster, k) == 100
        harness.wait_until(lambda: "the list of members stays as it is" in cluster.querier.log, 60,
                           "the querier to miss etcd")
        cluster.wait_members(4)
    finally:
        cluster.kill()
        etcd.kill()
