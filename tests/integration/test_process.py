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
        assert "yaml" in node.get("/api/v1/status/config").json["data"]
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
            lambda: [m["problem"] for m in members_of(stranger) if m["problem"]], 10, "a refusal")
        assert "other" in problems[0] and "narthex" in problems[0]
        answer = stranger.post("/api/v1/query", {"query": "up"})
        assert answer.status == 503
    finally:
        stranger.stop()


def members_of(node):
    try:
        return node.get("/api/v1/cluster").json["members"]
    except OSError:
        return []
