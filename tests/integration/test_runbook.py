"""The runbook of docs/cluster.md as it is written, on a static list, while samples are written and read."""

import json
import shutil
import signal

import harness
from test_membership import ctl, members, wait_state

SERIES = 300
START_S = 1_700_000_000
REPAIR = "--repair.interval=1s"


class FileCluster(harness.Cluster):
    """A cluster whose list of members is in a file that all nodes read."""

    def __init__(self, workdir):
        super().__init__(workdir, ingesters=3)
        self.workdir = workdir
        self.file = workdir / "narthex.yml"
        self.listed = {node.name: node.port for node in self.ingesters}
        self.shared = [f"--config={self.file}"]
        self.write_file()
        for node in self.nodes:
            node.argv = [a for a in node.argv if not a.startswith("--ring.")] + self.shared
        for node in self.ingesters:
            node.argv.append(REPAIR)

    def write_file(self):
        listed = ",".join(f"{name}@127.0.0.1:{port}" for name, port in self.listed.items())
        self.file.write_text(
            f"ring:\n  members: '{listed}'\n  replication-factor: 3\n  heartbeat-interval: 200ms\n"
            "  heartbeat-timeout: 2s\n")

    def reload(self):
        for node in self.nodes:
            if node.alive:
                node.signal(signal.SIGHUP)

    def ingester(self, name):
        (port,) = harness.free_ports(1)
        node = harness.Node("ingester", name, port, self.workdir,
                            [*self.shared, "--storage.retention=10y", REPAIR])
        self.nodes.append(node)
        return node


class Rounds:
    def __init__(self, cluster, remote_pb2):
        self.cluster = cluster
        self.writer = harness.Writer(remote_pb2, cluster.distributor.url)
        self.written = 0

    def write(self, count=5):
        for _ in range(count):
            time_ms = (START_S + self.written) * 1000
            answer = self.writer.send([
                ({"__name__": "runbook", "shard": str(i)}, [(time_ms, float(i * 1000 + self.written))])
                for i in range(SERIES)])
            assert answer.status == 204, answer.text
            self.written += 1

    def check(self):
        """Each sample is there once, with its value."""
        at = START_S + self.written
        result = self.cluster.querier.query(
            f"count_over_time(runbook[{self.written + 1}s])", at)
        assert len(result) == SERIES
        assert {row["value"][1] for row in result} == {str(self.written)}
        result = self.cluster.querier.query(f"sum(sum_over_time(runbook[{self.written + 1}s]))", at)
        n = self.written
        assert float(result[0]["value"][1]) == sum(i * 1000 * n + n * (n - 1) // 2 for i in range(SERIES))


def healthy(cluster):
    """The condition of the runbook, at all nodes that read or write."""
    for node in (cluster.distributor, cluster.querier):
        health = ctl(node, "health", "--json")
        if health.returncode != 0 or json.loads(health.stdout)["degradedPartitions"]:
            return False
    return True


def test_add_remove_replace_and_restart(tmp_path, remote_pb2):
    cluster = FileCluster(tmp_path)
    rounds = Rounds(cluster, remote_pb2)
    try:
        cluster.start()
        harness.wait_until(lambda: healthy(cluster), 120, "health")
        rounds.write()
        rounds.check()

        # add
        added = cluster.ingester("ingester-4")
        cluster.listed["ingester-4"] = added.port
        cluster.write_file()
        added.start()
        added.wait_ready()
        cluster.reload()
        harness.wait_until(lambda: "ingester-4" in members(cluster.distributor), 60, "the new member")
        rounds.write()
        rounds.check()
        wait_state([cluster.distributor, cluster.querier], "ingester-4", "ACTIVE")
        rounds.write()
        rounds.check()
        harness.wait_until(lambda: healthy(cluster), 120, "health")

        # remove
        removed = cluster.ingesters[0]
        drain = ctl(cluster.distributor, "drain", "ingester-1")
        assert drain.returncode == 0, drain.stdout + drain.stderr
        assert drain.stdout.splitlines()[-1].split() == ["ingester-1", "LEFT"]
        rounds.write()
        rounds.check()
        assert removed.stop() == 0
        del cluster.listed["ingester-1"]
        cluster.write_file()
        cluster.reload()
        harness.wait_until(lambda: "ingester-1" not in members(cluster.querier), 60, "its end")
        rounds.write()
        rounds.check()
        harness.wait_until(lambda: healthy(cluster), 120, "health")

        # replace: the disk is lost
        lost = cluster.ingesters[1]
        lost.kill()
        shutil.rmtree(lost.data_dir)
        rounds.write()
        lost.start()
        lost.wait_ready()
        wait_state([cluster.distributor, cluster.querier], lost.name, "ACTIVE")
        rounds.write()
        rounds.check()
        harness.wait_until(lambda: healthy(cluster), 120, "health")

        # restart all, one at a time
        for node in [*cluster.ingesters[1:], added]:
            assert node.stop() == 0
            rounds.write(2)
            rounds.check()
            node.start()
            node.wait_ready()
            harness.wait_until(lambda: healthy(cluster), 120, "health")
        rounds.write()
        rounds.check()
    finally:
        cluster.kill()
