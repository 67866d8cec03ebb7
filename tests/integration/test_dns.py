"""Members in DNS, told by a name server of the test's own: SRV records with zones, and addresses."""

import socket
import struct
import threading
import time

import pytest

import harness
from file_cluster import members

A, SRV = 1, 33


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class NameServer:
    """Answers A and SRV questions over UDP from a table {(name, type): [rdata]}; NXDOMAIN for other names, nothing
    at all while `silent`."""

    def __init__(self):
        self.table = {}
        self.silent = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def services(self, name, targets):
        self.table[(name, SRV)] = [
            struct.pack("!HHH", 0, weight, port) + encode_name(target) for target, port, weight in targets]

    def addresses(self, name, addresses):
        self.table[(name, A)] = [socket.inet_aton(address) for address in addresses]

    def answer(self, query):
        end = query.index(b"\0", 12) + 1
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, (kind,) = ".".join(labels).lower(), struct.unpack("!H", query[end:end + 2])
        known = any(key[0] == name for key in self.table)
        records = self.table.get((name, kind), [])
        head = query[:2] + struct.pack("!HHHHH", 0x8580 if known else 0x8583, 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(data)) + data for data in records)
        return head + query[12:end + 4] + body

    def run(self):
        while not self.stopped.is_set():
            try:
                query, sender = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            if not self.silent:
                self.socket.sendto(self.answer(query), sender)

    def stop(self):
        self.stopped.set()
        self.thread.join()
        self.socket.close()


class DnsCluster(harness.Cluster):
    def __init__(self, workdir, server, names):
        super().__init__(workdir, ingesters=3)
        self.workdir = workdir
        self.shared = [
            "--ring.backend=dns", f"--ring.dns={names}", f"--ring.dns-server=127.0.0.1:{server.port}",
            "--ring.dns-interval=300ms", "--ring.replication-factor=3", "--ring.heartbeat-interval=200ms",
            "--ring.heartbeat-timeout=1s", "--ring.forget-after=3s",
        ]
        for node in self.nodes:
            node.argv = [a for a in node.argv if not a.startswith("--ring.")] + self.shared


@pytest.fixture
def server():
    made = NameServer()
    yield made
    made.stop()


def wait_names(node, names):
    harness.wait_until(lambda: set(members(node)) == set(names), 60, f"{names} at {node.name}")


def write(remote_pb2, cluster, k):
    writer = harness.Writer(remote_pb2, cluster.distributor.url)
    return writer.send([({"__name__": "dns_test", "shard": str(i)},
                         [(1_700_000_000_000 + k * 1000, float(k))]) for i in range(50)])


def test_services_are_members_of_their_zones_and_stay_while_dns_fails(tmp_path, server, remote_pb2):
    cluster = DnsCluster(tmp_path, server, "_rpc._tcp.a.test/zone-a,_rpc._tcp.b.test/zone-b")
    one, two, _ = cluster.ingesters
    # the target of a service is resolved by the system: use a name that resolves anywhere
    server.services("_rpc._tcp.a.test", [("localhost", one.port, 5)])
    server.services("_rpc._tcp.b.test", [])
    one.argv = [a.replace("--node.name=ingester-1", "--node.name=localhost") for a in one.argv]
    two.argv.append("--node.zone=zone-b")
    try:
        for node in (one, cluster.distributor):
            node.start().wait_ready()
        wait_names(cluster.distributor, ["localhost"])
        shown = members(cluster.distributor)["localhost"]
        assert shown["zone"] == "zone-a" and shown["weight"] == 5
        two.start().wait_ready()  # a member by its own word, before DNS says so
        assert members(two)["ingester-2"]["zone"] == "zone-b"
        server.silent = True
        harness.wait_until(lambda: "the list of members stays as it is" in cluster.distributor.log, 90,
                           "the distributor to miss DNS")
        assert set(members(cluster.distributor)) == {"localhost"}
        assert members(cluster.distributor)["localhost"]["healthy"]
    finally:
        cluster.kill()


def test_addresses_are_members_until_silent_for_long(tmp_path, server, remote_pb2):
    (port,) = harness.free_ports(1)
    cluster = DnsCluster(tmp_path, server, f"ingesters.test:{port}")
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    names = [host.replace(".", "-") for host in hosts]
    server.addresses("ingesters.test", hosts)
    for node, host, name in zip(cluster.ingesters, hosts, names):
        node.argv = [a for a in node.argv if not a.startswith(("--server.listen", "--node.name"))]
        node.argv += [f"--server.listen={host}:{port}", f"--node.name={name}"]
        node.url, node.port = f"http://{host}:{port}", port
    try:
        cluster.start()
        assert set(members(cluster.distributor)) == set(names)
        assert write(remote_pb2, cluster, 0).status == 204
        server.addresses("ingesters.test", hosts[:2])  # left out, and yet it answers: it stays
        time.sleep(1.5)  # several looks
        for node in (cluster.distributor, cluster.querier):
            assert set(members(node)) == set(names)
        assert write(remote_pb2, cluster, 1).status == 204
        cluster.ingesters[2].kill()
        assert write(remote_pb2, cluster, 2).status == 204
        wait_names(cluster.distributor, names[:2])  # silent for ring.forget-after
        server.addresses("ingesters.test", hosts)
        wait_names(cluster.distributor, names)
    finally:
        cluster.kill()
