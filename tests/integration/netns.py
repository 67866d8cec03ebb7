"""A network of its own for each node: namespaces whose links meet at a bridge, where they can be cut and, if the kernel has netem,
delayed. It takes root and the right to make namespaces; `skip_reason` says what is missing."""

import ctypes
import os
import shutil
import subprocess
import threading

import harness
from file_cluster import FileCluster

CLONE_NEWNET = 0x40000000
SUBNET = "10.77.0"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def skip_reason():
    if os.geteuid() != 0:
        return "network namespaces need root"
    if harness.missing_program("ip", "bridge"):
        return "iproute2 is not installed"
    name = f"nx-try-{os.getpid()}"
    try:
        ip("netns", "add", name)
        try:
            ip("-n", name, "link", "add", "br0", "type", "bridge")
        finally:
            ip("netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.strip()}"
    return None


class Network:
    """The hub, which has the bridge, and a namespace a name."""

    def __init__(self, names):
        self.tag = f"nx{os.getpid()}"
        self.hub = f"{self.tag}-hub"
        self.spaces = {name: f"{self.tag}-{i}" for i, name in enumerate(names)}
        self.ports = {name: f"port{i}" for i, name in enumerate(names)}
        self.hosts = {name: f"{SUBNET}.{10 + i}" for i, name in enumerate(names)}

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self):
        ip("netns", "add", self.hub)
        ip("-n", self.hub, "link", "set", "lo", "up")
        ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
        ip("-n", self.hub, "addr", "add", f"{SUBNET}.1/24", "dev", "br0")
        ip("-n", self.hub, "link", "set", "br0", "up")
        for name, space in self.spaces.items():
            port = self.ports[name]
            ip("netns", "add", space)
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("-n", self.hub, "link", "set", port, "master", "br0")
            ip("-n", self.hub, "link", "set", port, "up")
            ip("-n", space, "addr", "add", f"{self.hosts[name]}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")

    def __exit__(self, *_):
        for space in [*self.spaces.values(), self.hub]:
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)

    def cut(self, name, whether=True):
        """From everybody; packets vanish, nobody is told."""
        ip("-n", self.hub, "link", "set", self.ports[name], "down" if whether else "up")

    def part(self, names, whether=True):
        """From each other, not from the rest."""
        for name in names:
            ip("-n", self.hub, "link", "set", self.ports[name], "type", "bridge_slave", "isolated",
               "on" if whether else "off")

    def delay(self, name, *netem):
        """`netem`: its words; False where the kernel has no netem."""
        done = subprocess.run(["tc", "-n", self.spaces[name], "qdisc", "replace", "dev", "eth0", "root", "netem", *netem],
                              capture_output=True, text=True, check=False) if shutil.which("tc") else None
        return done is not None and done.returncode == 0

    def run(self, body):
        """Calls it in a thread that lives at the hub, as all threads and processes do that it starts."""
        outcome = []

        def inside():
            try:
                with open(f"/run/netns/{self.hub}", "rb") as file:
                    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                body()
            except BaseException as error:  # pylint: disable=broad-except
                outcome.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if outcome:
            raise outcome[0]


class NetCluster(FileCluster):
    """Each node in its namespace."""

    def __init__(self, workdir, network, **kwargs):
        super().__init__(workdir, **kwargs)
        for node in self.nodes:
            node.host = network.hosts[node.name]
            node.url = f"http://{node.host}:{node.port}"
            node.argv = ["ip", "netns", "exec", network.spaces[node.name]] + [
                f"--server.listen={node.host}:{node.port}" if a.startswith("--server.listen=") else a for a in node.argv]
        self.listed = {node.name: f"{node.host}:{node.port}" for node in self.ingesters}
        self.write_file()


def names_of(ingesters):
    return [f"ingester-{i + 1}" for i in range(ingesters)] + ["distributor", "querier"]
