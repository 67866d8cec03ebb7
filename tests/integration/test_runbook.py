"""The runbook of docs/cluster.md as it is written, on a static list, while samples are written and read."""

import shutil

import harness
from file_cluster import FileCluster, ctl, wait_state

SERIES = 300
START_S = 1_700_000_000


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


def test_add_remove_replace_and_restart(tmp_path, remote_pb2):
    cluster = FileCluster(tmp_path)
    rounds = Rounds(cluster, remote_pb2)
    try:
        cluster.start()
        cluster.wait_whole()
        rounds.write()
        rounds.check()

        # add
        cluster.add("ingester-4")
        rounds.write()
        rounds.check()
        wait_state([cluster.distributor, cluster.querier], "ingester-4", "ACTIVE")
        rounds.write()
        rounds.check()
        cluster.wait_whole()

        # remove
        drain = ctl(cluster.distributor, "drain", "ingester-1")
        assert drain.returncode == 0, drain.stdout + drain.stderr
        assert drain.stdout.splitlines()[-1].split() == ["ingester-1", "LEFT"]
        rounds.write()
        rounds.check()
        cluster.remove("ingester-1")
        rounds.write()
        rounds.check()
        cluster.wait_whole()

        # replace: the disk is lost
        lost = cluster.ingesters[0]
        lost.kill()
        shutil.rmtree(lost.data_dir)
        rounds.write()
        lost.start()
        lost.wait_ready()
        wait_state([cluster.distributor, cluster.querier], lost.name, "ACTIVE")
        rounds.write()
        rounds.check()
        cluster.wait_whole()

        # restart all, one at a time
        for node in cluster.ingesters:
            assert node.stop() == 0
            rounds.write(2)
            rounds.check()
            node.start()
            node.wait_ready()
            cluster.wait_whole()
        rounds.write()
        rounds.check()
    finally:
        cluster.kill()
