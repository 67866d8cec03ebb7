"""A cluster whose list of members is in a file that all nodes read, as the runbook has it."""

import json
import subprocess

import harness


def ctl(node, *arguments):
    return subprocess.run([harness.NARTHEX, "ctl", *arguments, f"--address={node.host}:{node.port}"],
                          capture_output=True, text=True, timeout=300, check=False)


def members(node):
    return {member["name"]: member for member in node.get("/api/v1/cluster").json["members"]}


def wait_state(nodes, name, state, timeout_s=90):
    for node in nodes:
        harness.wait_until(lambda n=node: members(n)[name]["state"] == state, timeout_s,
                           f"{name} {state} at {node.name}")


class FileCluster(harness.Cluster):
    """`zones`: of the first ingesters, in their order."""

    def __init__(self, workdir, ingesters=3, zones=(), flags=(), heartbeat_timeout="2s", ingester_flags=(), **kwargs):
        self.ingester_flags = ["--repair.interval=1s", *ingester_flags]
        super().__init__(workdir, ingesters=ingesters, ingester_flags=self.ingester_flags, **kwargs)
        self.workdir = workdir
        self.file = workdir / "narthex.yml"
        self.heartbeat_timeout = heartbeat_timeout
        self.zones = {node.name: zone for node, zone in zip(self.ingesters, zones)}
        self.listed = {node.name: f"{node.host}:{node.port}" for node in self.ingesters}
        self.shared = [f"--config={self.file}", *flags]
        self.write_file()
        for node in self.nodes:
            node.argv = [a for a in node.argv if not a.startswith("--ring.")] + self.shared
        for node in self.ingesters:
            node.argv += self.zone_flags(node.name)

    def zone_flags(self, name):
        return [f"--node.zone={self.zones[name]}"] if name in self.zones else []

    def write_file(self):
        listed = ",".join(f"{name}@{address}" + (f"/{self.zones[name]}" if name in self.zones else "")
                          for name, address in self.listed.items())
        self.file.write_text(
            f"ring:\n  members: '{listed}'\n  replication-factor: 3\n  heartbeat-interval: 200ms\n"
            f"  heartbeat-timeout: {self.heartbeat_timeout}\n")

    def reload(self):
        for node in self.nodes:
            if node.alive:
                node.post("/-/reload")

    def add(self, name):
        """As the runbook says; does not wait until it is ACTIVE."""
        (port,) = harness.free_ports(1)
        node = harness.Node("ingester", name, port, self.workdir,
                            [*self.shared, "--storage.retention=10y", *self.ingester_flags, *self.zone_flags(name)])
        self.nodes.append(node)
        self.ingesters.append(node)
        self.listed[name] = f"{node.host}:{port}"
        self.write_file()
        node.start().wait_ready()
        self.reload()
        for other in (self.distributor, self.querier):
            harness.wait_until(lambda n=other: name in members(n), 60, f"{name} in the list of {other.name}")
        return node

    def remove(self, name):
        """Of a member that is LEFT: stops it and takes it off the list."""
        (node,) = [node for node in self.ingesters if node.name == name]
        assert node.stop() == 0
        self.ingesters.remove(node)
        del self.listed[name]
        self.write_file()
        self.reload()
        for other in (self.distributor, self.querier):
            harness.wait_until(lambda n=other: name not in members(n), 60, f"the end of {name} at {other.name}")

    def is_whole(self):
        """The runbook's condition for a next step, at all nodes that read or write."""
        for node in (self.distributor, self.querier):
            health = ctl(node, "health", "--json")
            if health.returncode != 0 or json.loads(health.stdout)["degradedPartitions"]:
                return False
        return True

    def wait_whole(self, timeout_s=120):
        harness.wait_until(self.is_whole, timeout_s, "a cluster that is whole")
