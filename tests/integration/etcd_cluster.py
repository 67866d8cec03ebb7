"""A packaged etcd on loopback, and clusters whose ingesters are listed in it."""

import shutil

import harness
from file_cluster import ctl, members


class Etcd:
    """One to three processes of etcd on loopback."""

    def __init__(self, workdir, count):
        ports = harness.free_ports(2 * count)
        clients, peers = ports[:count], ports[count:]
        together = ",".join(f"e{i}=http://127.0.0.1:{peers[i]}" for i in range(count))
        self.endpoints = ",".join(f"http://127.0.0.1:{port}" for port in clients)
        self.clients = clients
        self.processes = [
            harness.Process(f"etcd-{i}", [
                shutil.which("etcd"), f"--name=e{i}", f"--data-dir={workdir / f'etcd-{i}'}",
                f"--listen-client-urls=http://127.0.0.1:{clients[i]}",
                f"--advertise-client-urls=http://127.0.0.1:{clients[i]}",
                f"--listen-peer-urls=http://127.0.0.1:{peers[i]}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peers[i]}",
                f"--initial-cluster={together}",
            ], workdir) for i in range(count)
        ]

    def start(self):
        for process in self.processes:
            process.start()
        harness.wait_until(lambda: all(self.serves(port) for port in self.clients), 60, "etcd")
        return self

    @staticmethod
    def serves(port):
        try:
            answer = harness.http("GET", f"http://127.0.0.1:{port}/health", timeout=3)
            return answer.status == 200 and answer.json["health"] in ("true", True)
        except OSError:
            return False

    def kill(self):
        for process in self.processes:
            process.kill()


class EtcdCluster(harness.Cluster):
    """A cluster whose ingesters are listed in etcd."""

    def __init__(self, workdir, endpoints, ingesters=3):
        super().__init__(workdir, ingesters)
        self.workdir = workdir
        self.shared = [
            "--ring.backend=etcd", f"--ring.etcd-endpoints={endpoints}",
            "--ring.replication-factor=3", "--ring.heartbeat-interval=200ms",
            "--ring.heartbeat-timeout=3s", "--ring.cluster=shop",
        ]
        for node in self.nodes:
            node.argv = [a for a in node.argv if not a.startswith("--ring.")] + self.shared

    def ingester(self, name, *flags):
        (port,) = harness.free_ports(1)
        node = harness.Node("ingester", name, port, self.workdir,
                            [*self.shared, "--storage.retention=10y", *flags])
        self.nodes.append(node)
        return node

    def wait_members(self, count):
        for node in (self.distributor, self.querier):
            harness.wait_until(
                lambda n=node: len(members(n)) == count
                and all(m["healthy"] for m in members(n).values()), 60,
                f"{count} members at {node.name}")

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()
        self.wait_members(len(self.ingesters))
        for node in (self.distributor, self.querier):
            harness.wait_until(lambda n=node: ctl(n, "health").returncode == 0, 60,
                               f"reads and writes at {node.name}")
        return self
