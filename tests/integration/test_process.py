"""Settings, signals, endpoints that every role serves, and `narthex ctl`."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

import harness


def run(*argv, timeout=30):
    return subprocess.run([str(harness.NARTHEX), *argv], capture_output=True, text=True, timeout=timeout)


def test_help_lists_the_subcommands():
    out = run("help")
    assert out.returncode == 0
    for word in ("all", "distributor", "ingester", "querier", "ctl"):
        assert word in out.stdout


def test_help_config_lists_every_setting_with_default():
    out = run("help", "config")
    assert out.returncode == 0
    for key in ("server.listen", "storage.data-dir", "storage.retention", "ring.replication-factor",
                "ring.partitions", "workers", "log.level"):
        assert key in out.stdout
    assert "15d" in out.stdout


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--ring.partition=5"], ["ring.partition", "ring.partitions"]),
        (["--ring.partitions=many"], ["ring.partitions", "many"]),
        (["--storage.retention=5 apples"], ["storage.retention", "5 apples"]),
        (["--server.listen=nowhere"], ["server.listen", "nowhere"]),
        (["--log.level=loud"], ["log.level", "loud", "debug"]),
        (["--config=/does/not/exist.yml"], ["/does/not/exist.yml"]),
        (["--ring.members=a,b"], ["ring.members", "a"]),
        (["stray"], ["stray"]),
    ],
)
def test_configuration_mistakes_name_key_value_and_expectation(tmp_path, flags, words):
    out = run("all", f"--storage.data-dir={tmp_path}/data", *flags)
    assert out.returncode == 2, out.stderr
    for word in words:
        assert word in out.stderr


def test_yaml_mistakes_name_file_and_line(tmp_path):
    config = tmp_path / "narthex.yml"
    config.write_text("server:\n  listen: 127.0.0.1:0\n  lisen: x\n")
    out = run("all", f"--config={config}")
    assert out.returncode == 2
    assert "narthex.yml:3" in out.stderr and "server.lisen" in out.stderr and "server.listen" in out.stderr


def test_unknown_subcommand_is_an_error():
    out = run("al")
    assert out.returncode == 2 and "al" in out.stderr


def test_roles_need_members():
    out = run("distributor")
    assert out.returncode == 2 and "ring.members" in out.stderr


def test_second_process_on_one_data_directory_is_refused(single):
    out = run("all", "--server.listen=127.0.0.1:0", f"--storage.data-dir={single.data_dir}")
    assert out.returncode != 0
    assert str(single.data_dir) in out.stderr


def test_port_in_use_is_named(single, tmp_path):
    out = run("all", f"--server.listen=127.0.0.1:{single.port}", f"--storage.data-dir={tmp_path}/d")
    assert out.returncode != 0
    assert str(single.port) in out.stderr


def test_flag_wins_over_file_and_reload_takes_over(tmp_path):
    (port,) = harness.free_ports(1)
    config = tmp_path / "narthex.yml"
    config.write_text("log:\n  level: warn\nworkers: 2\n")
    node = harness.Node("all", "reload", port, tmp_path, [f"--config={config}", "--workers=1"])
    node.start().wait_ready()
    try:
        yaml = node.get("/api/v1/status/config").json["data"]["yaml"]
        assert re.search(r"level: [\"']?warn", yaml)
        assert re.search(r"workers: [\"']?1", yaml)
        config.write_text("log:\n  level: debug\nworkers: 2\n")
        node.signal(signal.SIGHUP)
        harness.wait_until(
            lambda: re.search(r"level: [\"']?debug", node.get("/api/v1/status/config").json["data"]["yaml"]),
            10, "the reloaded level")
        config.write_text("log:\n  level: [broken\n")
        answer = http_post(node, "/-/reload")
        assert answer.status == 500 and "narthex.yml" in answer.text
        assert node.ready()
        assert node.get("/-/reload").status == 405
    finally:
        assert node.stop() == 0


def http_post(node, path):
    return harness.http("POST", node.url + path, b"")


def test_sigterm_finishes_what_is_in_flight_and_exits_0(tmp_path, remote_pb2):
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "term", port, tmp_path)
    node.start().wait_ready()
    writer = harness.Writer(remote_pb2, node.url)
    now = int(time.time()) * 1000
    assert writer.send([({"__name__": "kept"}, [(now, 3.0)])]).status == 204
    assert node.stop() == 0
    node.start().wait_ready()
    assert node.query("kept", now / 1000)[0]["value"][1] == "3"
    assert node.stop() == 0


def test_kill_9_loses_nothing_acknowledged(tmp_path, remote_pb2):
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "kill", port, tmp_path)
    writer = harness.Writer(remote_pb2, node.url)
    start = (int(time.time()) - 600) * 1000
    written = 0
    for _ in range(3):
        node.start().wait_ready()
        for _ in range(20):
            assert writer.send([({"__name__": "k", "i": str(i)}, [(start + written * 1000, float(written))])
                                for i in range(50)]).status == 204
            written += 1
        node.kill()
    node.start().wait_ready()
    counts = node.query("count_over_time(k[15m])", start / 1000 + written)
    assert [int(s["value"][1]) for s in counts] == [written] * 50
    assert node.stop() == 0


def test_every_role_serves_the_common_endpoints(cluster):
    for node in (cluster.ingesters[0], cluster.distributor, cluster.querier):
        assert node.get("/-/healthy").status == 200
        assert node.get("/-/ready").status == 200
        metrics = node.get("/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "# HELP" in metrics.text and "# TYPE process_cpu_seconds_total counter" in metrics.text
        config = node.get("/api/v1/status/config", headers={"Origin": "http://grafana"})
        assert "yaml" in config.json["data"]
        assert (config.headers["Access-Control-Allow-Origin"] == "*") == (node is cluster.querier)
        assert len(node.get("/api/v1/cluster").json["members"]) == 3
        assert node.get("/nowhere").status == 404


def test_metrics_pass_promtool(cluster):
    if harness.missing_program("promtool"):
        pytest.skip("promtool is not installed")
    for node in cluster.nodes:
        out = subprocess.run(["promtool", "check", "metrics"], input=node.get("/metrics").body,
                             capture_output=True)
        assert out.returncode == 0, (node.name, out.stderr.decode(), out.stdout.decode())


def test_ctl_shows_members_ring_and_health(cluster):
    address = f"--address=127.0.0.1:{cluster.querier.port}"
    out = run("ctl", "members", address)
    assert out.returncode == 0 and "ingester-1" in out.stdout and "healthy" in out.stdout
    members = json.loads(run("ctl", "members", address, "--json").stdout)["members"]
    assert sum(member["partitions"] for member in members) == 3 * 512
    out = run("ctl", "ring", address)
    assert out.returncode == 0 and "512" in out.stdout
    assert run("ctl", "health", address).returncode == 0
    for node in cluster.ingesters[:2]:
        node.kill()
    cluster.wait_healthy(1)
    out = run("ctl", "health", address)
    assert out.returncode == 1 and "too few" in out.stdout
    assert run("ctl", "members", "--address=127.0.0.1:1").returncode == 1


def test_worker_count_may_change_between_starts(tmp_path, remote_pb2):
    (port,) = harness.free_ports(1)
    now = int(time.time()) * 1000
    for workers in (1, 3, 2):
        node = harness.Node("all", "workers", port, tmp_path, [f"--workers={workers}"])
        node.start().wait_ready()
        writer = harness.Writer(remote_pb2, node.url)
        assert writer.send([({"__name__": "w", "i": str(i), "n": str(workers)}, [(now, 1.0)])
                            for i in range(100)]).status == 204
        node.kill()
    node.start().wait_ready()
    assert node.query("count(w)", now / 1000)[0]["value"][1] == "300"
    assert node.stop() == 0


def test_nodes_of_another_cluster_are_refused(cluster, tmp_path):
    (port,) = harness.free_ports(1)
    members = next(f for f in cluster.querier.argv if f.startswith("--ring.members="))
    stranger = harness.Node("querier", "stranger", port, tmp_path,
                            [members, "--ring.cluster=other", "--ring.heartbeat-interval=200ms",
                             "--ring.heartbeat-timeout=1s"])
    stranger.start()
    try:
        problems = harness.wait_until(
            lambda: [m["problem"] for m in members_of(stranger) if m["problem"]], 60, "a refusal")
        assert "other" in problems[0] and "narthex" in problems[0]
        answer = stranger.post("/api/v1/query", {"query": "up"})
        assert answer.status == 503
    finally:
        stranger.stop()


def stranger_flags(cluster, *flags):
    """Flags of a node that knows the cluster's members, and whose heartbeats come late."""
    members = next(f for f in cluster.querier.argv if f.startswith("--ring.members="))
    return [members, "--ring.heartbeat-interval=30s", "--ring.heartbeat-timeout=60s", *flags]


DIFFERENCES = [("--ring.cluster=other", "other/512/3"), ("--ring.partitions=256", "narthex/256/3"),
               ("--ring.replication-factor=1", "narthex/512/1")]


@pytest.mark.parametrize("flag, identity", DIFFERENCES)
def test_reads_of_another_cluster_are_refused_call_by_call(cluster, tmp_path, flag, identity):
    (port,) = harness.free_ports(1)
    stranger = harness.Node("querier", "stranger", port, tmp_path, stranger_flags(cluster, flag))
    stranger.start().wait_ready()
    try:
        for path in ("/api/v1/query?query=up", "/api/v1/labels", "/api/v1/series?match[]=up"):
            answer = stranger.get(path)
            assert answer.status == 503, (path, answer.text)
            assert f"belongs to narthex/512/3, not to {identity}" in answer.text
    finally:
        assert stranger.stop() == 0


@pytest.mark.parametrize("flag, identity", DIFFERENCES)
def test_writes_of_another_cluster_are_refused_call_by_call(cluster, tmp_path, remote_pb2, flag, identity):
    (port,) = harness.free_ports(1)
    stranger = harness.Node("distributor", "stranger", port, tmp_path, stranger_flags(cluster, flag))
    stranger.start().wait_ready()
    now = int(time.time()) * 1000
    try:
        writer = harness.Writer(remote_pb2, stranger.url)
        answers = []

        def refused():
            answers.append(
                writer.send([({"__name__": "strange", "i": str(i)}, [(now, 1.0)]) for i in range(20)]))
            # Heartbeats may have found out first, and word it in their own way.
            return any(words in answers[-1].text for words in ("belongs to ", "has ring."))

        # On a machine that stands still the first failure may be a time-out.
        harness.wait_until(refused, what=f"a refusal that says why: {[a.text for a in answers]}")
        assert answers[-1].status == 503, f"{answers[-1].text}\n{stranger.log}"
        assert all(answer.status in (503, 504) for answer in answers), [a.text for a in answers]
    finally:
        assert stranger.stop() == 0, stranger.log
    assert cluster.querier.query("strange", now / 1000) == []


def test_rpc_without_a_cluster_is_refused_with_a_code(cluster):
    url = cluster.ingesters[0].url + "/internal/v1/"
    headers = {"Content-Type": "application/x-protobuf"}
    for method in ("select", "push", "flush", "labels"):
        answer = harness.http("POST", url + method, b"", headers)
        assert answer.status == 409 and answer.headers["X-Narthex-Error"] == "ERR_CLUSTER"
        assert answer.text.strip() == "belongs to narthex/512/3; the call names no cluster"
    named = {**headers, "X-Narthex-Cluster": "narthex/512/3"}
    assert harness.http("POST", url + "labels", b"", named).status == 200
    assert harness.http("POST", url + "heartbeat", b"", headers).headers["X-Narthex-Error"] == "ERR_CONFIG"


def test_reload_with_bad_members_changes_nothing(tmp_path):
    (port,) = harness.free_ports(1)
    config = tmp_path / "narthex.yml"
    members = f"self@127.0.0.1:{port}"
    config.write_text(f"log: {{level: warn}}\nring: {{members: '{members}', replication-factor: 1}}\n")
    node = harness.Node("all", "self", port, tmp_path, [f"--config={config}"])
    node.start().wait_ready()
    try:
        for bad in ("nonsense", ""):
            config.write_text(f"log: {{level: debug}}\nring: {{members: '{bad}', replication-factor: 1}}\n")
            answer = http_post(node, "/-/reload")
            assert answer.status == 500 and "ring.members" in answer.text
            yaml = node.get("/api/v1/status/config").json["data"]["yaml"]
            assert re.search(r"level: [\"']?warn", yaml) and members in yaml
        config.write_text(f"log: {{level: debug}}\nring: {{members: '{members}', replication-factor: 1}}\n")
        assert http_post(node, "/-/reload").status == 200
        assert re.search(r"level: [\"']?debug", node.get("/api/v1/status/config").json["data"]["yaml"])
    finally:
        assert node.stop() == 0


def test_reload_while_queries_and_writes_run(tmp_path, remote_pb2):
    (port,) = harness.free_ports(1)
    config = tmp_path / "narthex.yml"
    node = harness.Node("all", "busy", port, tmp_path, [f"--config={config}", "--workers=3"])
    config.write_text("log: {level: info}\n")
    node.start().wait_ready()
    try:
        writer = harness.Writer(remote_pb2, node.url)
        now = int(time.time()) * 1000
        for i in range(30):
            config.write_text(f"storage: {{retention: {i + 1}d}}\ningester: {{select-max-bytes: {i + 1}MiB}}\n")
            assert writer.send([({"__name__": "r", "i": str(j)}, [(now + i, 1.0)]) for j in range(50)]).status == 204
            node.signal(signal.SIGHUP)
            assert http_post(node, "/-/reload").status == 200
            assert node.query("count(r)", now / 1000 + 1)[0]["value"][1] == "50"
        yaml = node.get("/api/v1/status/config").json["data"]["yaml"]
        assert "30MiB" in yaml
    finally:
        assert node.stop() == 0


@pytest.mark.parametrize(
    "role, flags, status, words",
    [
        ("all", ["--server.listen=127.0.0.1:{free}", "--server.internal-listen=127.0.0.1:{taken}"], 1, "{taken}"),
        ("all", ["--server.listen=127.0.0.1:{free}", "--server.internal-listen=x"], 2, "internal-listen"),
        ("all", ["--server.listen=127.0.0.1:{free}", "--query.cors-origin=("], 2, "cors-origin"),
        ("all", ["--server.listen=127.0.0.1:{free}", "--query.features=bogus"], 2, "bogus"),
        ("all", ["--server.listen=127.0.0.1:{free}", "--ring.members=x@127.0.0.1:1"], 2, "node.name"),
        ("all", ["--server.listen=127.0.0.1:{free}", "--ring.cluster=a b"], 2, "ring.cluster"),
        ("all", ["--server.listen=127.0.0.1:{free}", "--storage.data-dir=/proc/none"], 1,
         "/proc/none: expected a directory"),
        ("all", ["--server.listen=127.0.0.1:{free}", "--storage.data-dir=/dev/null"], 1,
         "/dev/null: expected a directory, got a file"),
        ("all", ["--ring.heartbeat-timeout=50ms", "--ring.heartbeat-interval=70ms"], 2,
         "expected more than ring.heartbeat-interval (70ms), got 50ms"),
        ("querier", ["--server.listen=127.0.0.1:{taken}", "--ring.members=x@127.0.0.1:1"], 1, "{taken}"),
        ("distributor", ["--server.listen=127.0.0.1:{taken}", "--ring.members=x@127.0.0.1:1"], 1, "{taken}"),
    ],
)
def test_start_that_fails_ends_with_its_reason_alone(tmp_path, single, role, flags, status, words):
    (free,) = harness.free_ports(1)
    ports = {"free": free, "taken": single.port}
    if role == "all":
        flags = [f"--storage.data-dir={tmp_path}/data", *flags]
    out = run(role, *(flag.format(**ports) for flag in flags))
    assert out.returncode == status, out.stderr
    assert words.format(**ports) in out.stderr
    assert "Sanitizer" not in out.stderr and "Assertion" not in out.stderr


def members_of(node):
    try:
        return node.get("/api/v1/cluster").json["members"]
    except OSError:
        return []
