"""What the benchmarks share: the systems that are driven, the load generator, and what /proc says of a process."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import harness  # noqa: E402

LOADGEN = harness.BUILD / "tests" / "loadgen"
TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL_MS = 15_000
MIB = 2**20


# --- processes ---


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def status_bytes(pid, *names):
    """Fields of /proc/PID/status that are given in kB: VmRSS, VmHWM, RssAnon, RssFile ..."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in names:
            found[name] = int(rest.split()[0]) * 1024
    return [found[name] for name in names]


def disk_bytes(path):
    return sum(f.stat().st_blocks * 512 for f in Path(path).rglob("*") if f.is_file())


class RssWatch:
    """The greatest sums of the processes' resident, anonymous and file memory, sampled ten times a second."""

    def __init__(self, processes):
        self.pids = [p.child.pid for p in processes]
        self.peak = self.peak_anon = self.peak_file = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        last = False
        while not last:
            last = self._stop.wait(0.1)
            try:
                sums = [sum(column) for column in
                        zip(*(status_bytes(pid, "VmRSS", "RssAnon", "RssFile") for pid in self.pids))]
            except (OSError, KeyError):
                continue
            self.peak = max(self.peak, sums[0])
            self.peak_anon = max(self.peak_anon, sums[1])
            self.peak_file = max(self.peak_file, sums[2])

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self.peak


# --- systems ---


class System:
    def __init__(self, name, processes, url, data_dirs, query_url=None):
        self.name, self.processes, self.url = name, processes, url
        self.data_dirs, self.query_url = data_dirs, query_url or url

    def start(self):
        for process in self.processes:
            process.start()
        for process in self.processes:
            harness.wait_until(lambda p=process: p.ready(), 60, f"{process.name} ready")
        # The replicas compare what they hold when they have started; that is not what is measured.
        for process in self.processes:
            if isinstance(process, harness.Node) and process.role == "ingester":
                harness.wait_until(lambda p=process: p.metric("narthex_repair_catching_up") == 0, 120,
                                   f"{process.name} compared")

    def stop(self):
        for process in self.processes:
            process.stop(300)

    def kill(self):
        for process in self.processes:
            process.kill()

    def rss(self):
        """Resident, anonymous and file memory of all processes, in bytes."""
        return [sum(column) for column in zip(*(status_bytes(p.child.pid, "VmRSS", "RssAnon", "RssFile")
                                                for p in self.processes))]

    def cpu_seconds(self):
        return sum(cpu_seconds(p.child.pid) for p in self.processes)


class Peer(harness.Process):
    """A packaged server with a readiness path."""

    def __init__(self, name, argv, workdir, port, path):
        super().__init__(name, argv, workdir)
        self.check = f"http://127.0.0.1:{port}{path}"

    def ready(self):
        assert self.alive, self.log[-2000:]
        try:
            return harness.http("GET", self.check, timeout=2).status == 200
        except OSError:
            return False


def make_all(work, flags=()):
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "all", port, work, ["--storage.retention=10y", *flags])
    return System("Narthex `all`, 1 copy, fsynced", [node], node.url, [node.data_dir])


def make_cluster(work):
    cluster = harness.Cluster(work)
    return System("Narthex cluster, 3 copies, fsynced", cluster.nodes, cluster.distributor.url,
                  [node.data_dir for node in cluster.ingesters], cluster.querier.url)


def make_prometheus(work):
    if harness.missing_program("prometheus"):
        return None
    prometheus = harness.Prometheus(work, "global: {scrape_interval: 1h}\n",
                                    flags=["--web.enable-remote-write-receiver", "--log.level=error"])
    return System("Prometheus, 1 copy", [prometheus], prometheus.url, [Path(work) / "prometheus"])


def make_victoria(work):
    if harness.missing_program("victoria-metrics"):
        return None
    (port,) = harness.free_ports(1)
    data = Path(work) / "vm"
    peer = Peer("victoria-metrics",
                ["victoria-metrics", f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={data}",
                 "-retentionPeriod=10y", "-search.maxUniqueTimeseries=10000000", "-search.maxQueryDuration=10m",
                 "-loggerLevel=ERROR"], work, port, "/health")
    return System("VictoriaMetrics, 1 copy, no fsync", [peer], f"http://127.0.0.1:{port}", [data])


SYSTEMS = {"all": make_all, "cluster": make_cluster, "prometheus": make_prometheus,
           "victoriametrics": make_victoria}


@contextmanager
def running(make, parent=None, **kwargs):
    """The started system, or None where its package is not installed; killed and removed at the end."""
    work = tempfile.mkdtemp(prefix="narthex-bench-", dir=parent)
    system = None
    try:
        system = make(work, **kwargs)
        if system:
            system.start()
        yield system
    finally:
        if system:
            system.kill()
        shutil.rmtree(work, ignore_errors=True)


# --- load ---


def load(system, path="/api/v1/write", **options):
    """Runs the load generator (option names with _ for -) and returns its report."""
    argv = [str(LOADGEN), f"--url={system.url}{path}", "--json"]
    argv += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    out = subprocess.run(argv, capture_output=True, text=True)
    if out.returncode != 0:
        raise RuntimeError(f"{system.name}: loadgen: {out.stderr[-2000:]}")
    return json.loads(out.stdout)


def count_series(system, at_ms, expected, wait_s=90):
    """How many series a query finds at that time; asked again while they are fewer than expected, for some systems
    make samples visible a little after they acknowledged them."""
    end = time.monotonic() + wait_s
    while True:
        answer = harness.http(
            "GET", f"{system.query_url}/api/v1/query?query=count(%7Bjob%3D~%22.%2B%22%7D)&time={at_ms / 1000}",
            timeout=300)
        count = 0
        if answer.status == 200 and answer.json["data"]["result"]:
            count = int(float(answer.json["data"]["result"][0]["value"][1]))
        if count >= expected or time.monotonic() > end:
            return count
        time.sleep(2)


# --- reports ---


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    return f"{os.cpu_count()} x {model}, {memory} MiB, Linux {platform.release()}"


def print_table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")


def need_build():
    for path in (LOADGEN, harness.NARTHEX):
        if not path.exists():
            sys.exit(f"{path} is not built: run tests/run --deps-only, then cmake --preset release "
                     "and cmake --build build")
