"""Several distributors share the targets; one that dies is relieved, and one that comes back gets its own again."""

import time

import pytest

import harness
from scrape_target import TargetServer

TARGETS = 12
CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 900ms, external_labels: {region: here}}
scrape_configs:
  - job_name: shared
    metrics_path: /page
    relabel_configs: [{source_labels: [n], regex: "(.*)", target_label: instance, replacement: "n-$1"}]
    static_configs:
"""


@pytest.fixture(params=["listed", "found"])
def shared(tmp_path, request):
    target = TargetServer()
    target.set("/page", "# TYPE value gauge\nvalue 1\n")
    config = CONFIG + "".join(
        f'      - {{targets: ["{target.address}"], labels: {{n: "{i}"}}}}\n' for i in range(TARGETS))
    path = tmp_path / "scrape.yml"
    path.write_text(config)
    ports = harness.free_ports(2)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    cluster = harness.Cluster(tmp_path, ingesters=1, querier_flags=["--query.distributors=" + ",".join(addresses)])
    members = next(arg for arg in cluster.distributor.argv if arg.startswith("--ring.members="))
    scrapers = [harness.Node("distributor", f"scraper-{i}", port, tmp_path,
                             [members, "--ring.replication-factor=1", f"--scrape.config-file={path}",
                              "--scrape.peer-timeout=2s",
                              *(["--scrape.peers=" + ",".join(addresses)] if request.param == "listed" else [])])
                for i, port in enumerate(ports)]
    try:
        cluster.start()
        for node in scrapers:
            node.start()
        for node in scrapers:
            node.wait_ready()
        yield cluster, scrapers, path, config
        for node in scrapers:
            assert node.stop() in (0, -9), node.log[-3000:]
        cluster.stop()
    finally:
        for node in scrapers:
            node.kill()
        cluster.kill()
        target.close()


def owned(node):
    data = node.get("/api/v1/targets?state=active").json["data"]
    return {row["labels"]["instance"] for row in data["activeTargets"]}


def counts(cluster, seconds):
    rows = cluster.querier.query(f'count_over_time(value{{job="shared"}}[{seconds}s])')
    return {row["metric"]["instance"]: int(row["value"][1]) for row in rows}


def test_each_target_has_one_scraper_and_a_dead_one_is_relieved(shared):
    cluster, (a, b), _, _ = shared
    everything = {f"n-{i}" for i in range(TARGETS)}
    harness.wait_until(lambda: owned(a) | owned(b) == everything and not owned(a) & owned(b), what="one owner for each")
    first_a, first_b = owned(a), owned(b)
    assert first_a and first_b and not first_a & first_b
    time.sleep(8)
    per_target = counts(cluster, 5)
    assert set(per_target) == everything
    assert all(4 <= n <= 6 for n in per_target.values()), per_target
    assert all(row["metric"]["region"] == "here" for row in cluster.querier.query("up"))
    told = cluster.querier.get("/api/v1/targets").json["data"]["activeTargets"]
    assert {row["labels"]["instance"] for row in told} == everything and len(told) == TARGETS

    b.kill()
    harness.wait_until(lambda: owned(a) == everything, what="takeover")
    time.sleep(7)
    assert set(counts(cluster, 4)) == everything
    told = cluster.querier.get("/api/v1/targets").json["data"]["activeTargets"]
    assert len(told) == TARGETS

    b.start()
    b.wait_ready()
    harness.wait_until(lambda: owned(a) == first_a and owned(b) == first_b, what="targets back")
    time.sleep(6)
    per_target = counts(cluster, 4)
    assert set(per_target) == everything
    assert all(3 <= n <= 5 for n in per_target.values()), per_target
    # what moved was never marked stale
    assert set(row["metric"]["instance"] for row in cluster.querier.query("value")) == everything


def test_reload_takes_a_good_file_and_refuses_a_bad_one(shared):
    _, (a, b), path, config = shared
    harness.wait_until(lambda: len(owned(a) | owned(b)) == TARGETS, what="targets")
    path.write_text(config + "  - {job_name: shared}\n")
    answer = a.post("/-/reload")
    assert answer.status == 500 and "scrape.yml:" in answer.text and "multiple scrape configs" in answer.text
    assert owned(a) | owned(b) == {f"n-{i}" for i in range(TARGETS)}
    path.write_text(config + '      - {targets: ["127.0.0.1:1"], labels: {n: new}}\n')
    for node in (a, b):
        assert node.post("/-/reload").status == 200
    harness.wait_until(lambda: "n-new" in owned(a) | owned(b), what="new target")
    pools = a.get("/api/v1/scrape_pools").json["data"]["scrapePools"]
    assert pools == ["shared"]


def test_other_files_and_other_tenants_are_not_shared(tmp_path):
    """Who scrapes by another file, or for another tenant, scrapes all of it."""
    target = TargetServer()
    target.set("/page", "value 1\n")
    config = CONFIG + "".join(f'      - {{targets: ["{target.address}"], labels: {{n: "{i}"}}}}\n' for i in range(TARGETS))
    cluster = harness.Cluster(tmp_path, ingesters=1)
    members = next(arg for arg in cluster.distributor.argv if arg.startswith("--ring.members="))
    nodes = []
    for name, text, flags in (("same", config, []), ("twin", config, []), ("other", config + "# another\n", []),
                              ("tenant", config, ["--scrape.tenant=another"])):
        (tmp_path / f"{name}.yml").write_text(text)
        nodes.append(harness.Node("distributor", name, harness.free_ports(1)[0], tmp_path,
                                  [members, "--ring.replication-factor=1", f"--scrape.config-file={tmp_path}/{name}.yml", *flags]))
    try:
        cluster.start()
        for node in nodes:
            node.start()
        same, twin, other, tenant = (node.wait_ready() for node in nodes)
        everything = {f"n-{i}" for i in range(TARGETS)}
        harness.wait_until(lambda: owned(same) and owned(twin) and not owned(same) & owned(twin)
                           and owned(same) | owned(twin) == everything, what="a share each")
        harness.wait_until(lambda: owned(other) == owned(tenant) == everything, what="all targets for each of the others")
        assert same.metric("narthex_scrape_live_peers") == 2 and other.metric("narthex_scrape_live_peers") == 1
    finally:
        for node in nodes:
            node.kill()
        cluster.kill()
        target.close()


def test_mistakes_at_the_start_are_told(tmp_path):
    (tmp_path / "bad.yml").write_text("scrape_configs:\n- job_name: a\n  intervall: 1s\n")
    (port,) = harness.free_ports(1)
    for flags, text in (([f"--scrape.config-file={tmp_path}/bad.yml"], 'bad.yml:3: unknown key "intervall"'),
                        ([f"--scrape.config-file={tmp_path}/none.yml"], "none.yml"),
                        (["--scrape.peers=127.0.0.1:1"], "own address")):
        node = harness.Node("all", "bad", port, tmp_path, flags).start()
        assert node.child.wait(30) == 2
        assert text in node.log
        node.log_path.unlink()
