"""Real processes on loopback: Narthex nodes and clusters, packaged peers, and the clients the tests use."""

import atexit
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("NARTHEX_BUILD_DIR", ROOT / "build"))
NARTHEX = BUILD / "narthex"
TESTDATA = Path(os.environ.get("NARTHEX_TESTDATA_DIR", ROOT.parent / "shared" / "testdata"))
STALE_NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


# Tests run in several processes side by side: which one this is, from 0.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


def load_protos(module="remote_pb2"):
    """A generated Python module of proto/*.proto; those of the other files are its neighbours."""
    out = BUILD / "python" / str(WORKER)
    if str(out) not in sys.path:
        out.mkdir(parents=True, exist_ok=True)
        schemas = sorted(str(path) for path in (ROOT / "proto").glob("*.proto"))
        subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", *schemas], check=True)
        sys.path.insert(0, str(out))
    return importlib.import_module(module)


# Below the ports that the system gives to connections, so that none of those is in the way when a server starts; and
# each worker has its own.
PORTS_PER_WORKER = 5000
FIRST_PORT = 10_000 + PORTS_PER_WORKER * (WORKER % 4)
_skipped = random.randrange(PORTS_PER_WORKER)  # another run of the tests may be under way
_next_ports = itertools.islice(itertools.cycle(range(FIRST_PORT, FIRST_PORT + PORTS_PER_WORKER)), _skipped, None)


def is_free(port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count):
    """Ports that were free a moment ago, and that this process has not asked for lately."""
    return list(itertools.islice(filter(is_free, _next_ports), count))


def wait_until(condition, timeout_s=60.0, what="condition"):
    """Polls until the condition is true and returns its value; fails with the name of what never came."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {timeout_s} s")
        time.sleep(0.05)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


def http(method, url, body=None, headers=None, timeout=60):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with _opener.open(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


class Process:
    """A child process with its output in a file."""

    def __init__(self, name, argv, workdir, env=None):
        self.name = name
        self.argv = [str(arg) for arg in argv]
        self.log_path = Path(workdir) / f"{name}.log"
        self.env = {**os.environ, **(env or {})}
        self.child = None

    def start(self):
        assert self.child is None or self.child.poll() is not None
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env
            )
        atexit.register(self.kill)  # a fixture that fails half-way leaves nothing behind
        return self

    @property
    def alive(self):
        return self.child is not None and self.child.poll() is None

    @property
    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def kill(self):
        if self.alive:
            self.child.kill()
        if self.child:
            self.child.wait(30)

    def signal(self, number):
        self.child.send_signal(number)

    def freeze(self):
        """SIGSTOP; returns once no thread runs any more, which on a busy machine is not at once."""
        self.child.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.child.pid}/task")

        def stopped():
            return all((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks.iterdir())

        wait_until(stopped, what=f"{self.name} to stand still")

    def stop(self, timeout_s=40):
        """SIGTERM; returns the exit status, kills what does not stop in time."""
        if not self.alive:
            return self.child.returncode if self.child else None
        self.child.send_signal(signal.SIGCONT)
        self.child.terminate()
        try:
            return self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(30)
            raise AssertionError(f"{self.name} did not stop within {timeout_s} s:\n{self.log[-3000:]}")

    def resident_bytes(self):
        return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * 4096


class Node(Process):
    """A Narthex process."""

    def __init__(self, role, name, port, workdir, flags=(), host="127.0.0.1"):
        self.role = role
        self.host = host
        self.port = port
        self.url = f"http://{host}:{port}"
        self.data_dir = Path(workdir) / f"data-{name}"
        argv = [NARTHEX, role, f"--server.listen={host}:{port}", f"--node.name={name}"]
        if role in ("all", "ingester"):
            argv += [f"--storage.data-dir={self.data_dir}"]
        super().__init__(name, argv + list(flags), workdir)

    def ready(self):
        if not self.alive:
            raise AssertionError(f"{self.name} ended with {self.child.poll()}:\n{self.log[-3000:]}")
        try:
            return http("GET", self.url + "/-/ready", timeout=2).status == 200
        except OSError:
            return False

    def wait_ready(self, timeout_s=60):
        wait_until(self.ready, timeout_s, f"{self.name} ready")
        return self

    def get(self, path, params=None, **kwargs):
        query = "?" + urllib.parse.urlencode(params, doseq=True) if params else ""
        return http("GET", self.url + path + query, **kwargs)

    def post(self, path, params=None, **kwargs):
        body = urllib.parse.urlencode(params or {}, doseq=True).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return http("POST", self.url + path, body, headers, **kwargs)

    def query(self, expr, time_s=None, **params):
        if time_s is not None:
            params["time"] = repr(time_s) if isinstance(time_s, float) else str(time_s)
        answer = self.post("/api/v1/query", {"query": expr, **params})
        assert answer.status == 200, f"{expr}: {answer.status} {answer.text}"
        return answer.json["data"]["result"]

    def query_range(self, expr, start, end, step, **params):
        answer = self.post(
            "/api/v1/query_range", {"query": expr, "start": start, "end": end, "step": step, **params}
        )
        assert answer.status == 200, f"{expr}: {answer.status} {answer.text}"
        return answer.json["data"]["result"]

    def metric(self, name, **labels):
        """The sum of a metric of the node's own /metrics over the series with these labels."""
        total, found = 0.0, False
        for line in self.get("/metrics").text.splitlines():
            if not line.startswith(name) or line[len(name)] not in " {":
                continue
            if all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
                found = True
        assert found, f"{self.name} has no metric {name}{labels}"
        return total


class Cluster:
    """One distributor, ingesters and one querier."""

    def __init__(self, workdir, ingesters=3, flags=(), ingester_flags=(), distributor_flags=(),
                 querier_flags=()):
        ports = free_ports(ingesters + 2)
        names = [f"ingester-{i + 1}" for i in range(ingesters)]
        members = ",".join(f"{n}@127.0.0.1:{p}" for n, p in zip(names, ports[2:]))
        common = [
            f"--ring.members={members}",
            f"--ring.replication-factor={min(3, ingesters)}",
            "--ring.heartbeat-interval=200ms",
            "--ring.heartbeat-timeout=2s",
            "--storage.retention=10y",
        ]
        only_ingester = [flag for flag in common if flag.startswith("--storage.")]
        shared = [flag for flag in common if not flag.startswith("--storage.")] + list(flags)
        self.ingesters = [
            Node("ingester", n, p, workdir, shared + only_ingester + list(ingester_flags))
            for n, p in zip(names, ports[2:])
        ]
        self.distributor = Node("distributor", "distributor", ports[0], workdir,
                                shared + list(distributor_flags))
        self.querier = Node("querier", "querier", ports[1], workdir, shared + list(querier_flags))
        self.nodes = [*self.ingesters, self.distributor, self.querier]

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()
        # By their own word: who has not been heard yet counts as ACTIVE elsewhere.
        for node in self.ingesters:
            wait_until(lambda n=node: self.state_of(n) in ("ACTIVE", None), 60, f"{node.name} ACTIVE")
        self.wait_healthy(len(self.ingesters))
        return self

    def state_of(self, node):
        """By its own word; None where its list knows it by its address alone."""
        members = node.get("/api/v1/cluster").json["members"]
        return next((member["state"] for member in members if member["name"] == node.name), None)

    def healthy(self, node):
        members = node.get("/api/v1/cluster").json["members"]
        return sum(1 for member in members if member["healthy"] and member["state"] == "ACTIVE")

    def wait_healthy(self, count, timeout_s=60):
        for node in (self.distributor, self.querier):
            wait_until(lambda n=node: self.healthy(n) == count, timeout_s,
                       f"{count} healthy ingesters at {node.name}")

    def stop(self):
        for node in reversed(self.nodes):
            if node.alive:
                status = node.stop()
                assert status == 0, f"{node.name} exited with {status}:\n{node.log[-3000:]}"

    def kill(self):
        for node in self.nodes:
            node.kill()


class Writer:
    """Sends remote write 1.0."""

    def __init__(self, remote_pb2, url):
        import snappy

        self.pb = remote_pb2
        self.snappy = snappy
        self.url = url + "/api/v1/write"

    def request(self, series, metadata=()):
        """series: (labels dict, [(time ms, value), ...])."""
        request = self.pb.WriteRequest()
        for labels, samples in series:
            row = request.timeseries.add()
            for name, value in sorted(labels.items()):
                row.labels.add(name=name, value=value)
            for t, value in samples:
                row.samples.add(timestamp=t, value=value)
        for metric, kind, help_text, unit in metadata:
            request.metadata.add(metric_family_name=metric, type=kind, help=help_text, unit=unit)
        return request

    def encode(self, series, metadata=()):
        return self.snappy.compress(self.request(series, metadata).SerializeToString())

    def send_raw(self, body, headers=None, **kwargs):
        return http(
            "POST", self.url, body,
            {
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
                **(headers or {}),
            },
            **kwargs,
        )

    def send_raw_v2(self, body, headers=None, **kwargs):
        return self.send_raw(
            body,
            {
                "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "X-Prometheus-Remote-Write-Version": "2.0.0",
                **(headers or {}),
            },
            **kwargs,
        )

    def send(self, series, metadata=(), **kwargs):
        return self.send_raw(self.encode(series, metadata), **kwargs)


class Prometheus(Process):
    """The packaged Prometheus."""

    def __init__(self, workdir, config, name="prometheus", flags=()):
        (port,) = free_ports(1)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        path = Path(workdir) / f"{name}.yml"
        path.write_text(config.replace("SELF", f"127.0.0.1:{port}"))
        super().__init__(
            name,
            [
                "prometheus", f"--config.file={path}", f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.tsdb.path={Path(workdir) / name}", "--storage.tsdb.retention.time=10y", *flags,
            ],
            workdir,
        )

    def ready(self):
        assert self.alive, self.log[-3000:]
        try:
            return http("GET", self.url + "/-/ready", timeout=2).status == 200
        except OSError:
            return False

    def wait_ready(self):
        wait_until(self.ready, 60, "prometheus ready")
        return self

    def query(self, expr, time_s=None):
        params = {"query": expr}
        if time_s is not None:
            params["time"] = str(time_s)
        answer = http("GET", self.url + "/api/v1/query?" + urllib.parse.urlencode(params))
        assert answer.status == 200, answer.text
        return answer.json["data"]["result"]


def missing_program(*names):
    """The first program that is not installed, or None."""
    for name in names:
        if shutil.which(name) is None:
            return name
    return None


# --- comparing answers ---------------------------------------------------------------------------------


def same_number(a, b, relative=1e-9):
    """Equal texts, or numbers within the relative tolerance."""
    if a == b:
        return True
    x, y = float(a), float(b)
    if x != x or y != y:
        return x != x and y != y
    if x in (float("inf"), float("-inf")) or y in (float("inf"), float("-inf")):
        return x == y
    return abs(x - y) <= relative * max(abs(x), abs(y))


def same_histogram(a, b, relative):
    if not (same_number(a["count"], b["count"], relative) and same_number(a["sum"], b["sum"], relative)):
        return False
    left, right = a.get("buckets", []), b.get("buckets", [])
    return len(left) == len(right) and all(
        l[0] == r[0] and all(same_number(x, y, relative) for x, y in zip(l[1:], r[1:]))
        for l, r in zip(left, right)
    )


def difference(result_type, expected, got, ordered=False, relative=1e-9):
    """A line that says how two query results differ; None where they agree."""
    if result_type in ("scalar", "string"):
        same = expected == got or (result_type == "scalar" and same_number(expected[1], got[1], relative))
        return None if same else f"expected {expected}, got {got}"

    def key(series):
        return json.dumps(series["metric"], sort_keys=True)

    if not ordered:
        expected, got = sorted(expected, key=key), sorted(got, key=key)
    if [key(s) for s in expected] != [key(s) for s in got]:
        missing = {key(s) for s in expected} - {key(s) for s in got}
        extra = {key(s) for s in got} - {key(s) for s in expected}
        return f"series differ: missing {sorted(missing)[:3]}, extra {sorted(extra)[:3]}"
    for want, have in zip(expected, got):
        for field in ("value", "values", "histogram", "histograms"):
            if (field in want) != (field in have):
                return f"{key(want)}: {field} is on one side only"
            if field not in want:
                continue
            left = want[field] if field.endswith("s") else [want[field]]
            right = have[field] if field.endswith("s") else [have[field]]
            if [p[0] for p in left] != [p[0] for p in right]:
                return f"{key(want)}: times differ: {len(left)} and {len(right)} points"
            compare = same_number if field.startswith("value") else same_histogram
            for a, b in zip(left, right):
                if not compare(a[1], b[1], relative):
                    return f"{key(want)} at {a[0]}: expected {a[1]}, got {b[1]}"
    return None
