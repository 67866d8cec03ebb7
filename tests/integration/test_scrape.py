"""Scraping: the same targets are scraped by Narthex and by the packaged Prometheus, and both end up with the same
series, labels, values and stale markers."""

import json
import math
import os
import struct
import time

import pytest

import harness
from scrape_target import TargetServer, basic

snappy = pytest.importorskip("snappy")

STALE = 0x7FF0000000000002

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 900ms}
scrape_configs:
  - job_name: plain
    metrics_path: /plain
    static_configs: [{targets: ["TARGET"], labels: {env: test}}]
  - job_name: conflicts
    metrics_path: /conflicts
    static_configs: [{targets: ["TARGET"], labels: {env: test, exported_env: outer}}]
  - job_name: honored
    honor_labels: true
    metrics_path: /conflicts
    static_configs: [{targets: ["TARGET"], labels: {env: test}}]
  - job_name: relabeled
    metrics_path: /nowhere
    params: {what: [first, second], more: ["a b&c"]}
    relabel_configs:
      - {source_labels: [__address__], regex: "(.*)", target_label: host, replacement: "h-$1"}
      - {source_labels: [kind], regex: drop, action: drop}
      - {target_label: __metrics_path__, replacement: /echo}
      - {source_labels: [kind], target_label: __param_what}
      - {regex: kind, action: labeldrop}
    metric_relabel_configs:
      - {source_labels: [__name__], regex: "secret_.*", action: drop}
      - {source_labels: [code], regex: "(.).*", target_label: class, replacement: "${1}xx"}
      - {regex: code, action: labeldrop}
      - {source_labels: [__name__], regex: "old_(.*)", target_label: __name__, replacement: "new_$1"}
    static_configs:
      - {targets: ["TARGET"], labels: {kind: a}}
      - {targets: ["TARGET"], labels: {kind: b}}
      - {targets: ["TARGET"], labels: {kind: drop}}
  - job_name: samples
    metrics_path: /limited
    sample_limit: 3
    static_configs: [{targets: ["TARGET"]}]
  - job_name: labels
    metrics_path: /limited
    label_limit: 4
    static_configs: [{targets: ["TARGET"]}]
  - job_name: lengths
    metrics_path: /limited
    label_value_length_limit: 30
    static_configs: [{targets: ["TARGET"]}]
  - job_name: body
    metrics_path: /limited
    body_size_limit: 60B
    static_configs: [{targets: ["TARGET"]}]
  - job_name: targets
    metrics_path: /plain
    target_limit: 1
    static_configs: [{targets: ["TARGET", "localhost:PORT"]}]
  - job_name: times
    metrics_path: /times
    static_configs: [{targets: ["TARGET"]}]
  - job_name: no-times
    metrics_path: /times
    honor_timestamps: false
    static_configs: [{targets: ["TARGET"]}]
  - job_name: slow
    metrics_path: /slow
    static_configs: [{targets: ["TARGET"]}]
  - job_name: open
    metrics_path: /open
    static_configs: [{targets: ["TARGET"]}]
  - job_name: basic
    metrics_path: /basic
    basic_auth: {username: me, password_file: password.txt}
    static_configs: [{targets: ["TARGET"]}]
  - job_name: bearer
    metrics_path: /bearer
    authorization: {credentials: tok}
    static_configs: [{targets: ["TARGET"]}]
  - job_name: files
    metrics_path: /plain
    file_sd_configs: [{files: ["sd-*.json", "sd.yml"], refresh_interval: 1s}]
  - job_name: web
    metrics_path: /plain
    http_sd_configs: [{url: "http://TARGET/sd", refresh_interval: 1s}]
    relabel_configs: [{source_labels: [__meta_url], regex: ".*/(.*)", target_label: from}]
  - job_name: dns
    metrics_path: /plain
    dns_sd_configs: [{names: [localhost], type: A, port: PORT, refresh_interval: 1s}]
  - job_name: down
    static_configs: [{targets: ["127.0.0.1:1"]}]
  - job_name: invalid
    static_configs: [{targets: [""]}]
"""

WHOLE = ('# HELP a_total Things.\n# TYPE a_total counter\na_total{x="1"} 5\na_total{x="2"} 6\n'
         "# TYPE g gauge\ng NaN\nh +Inf\n")
LESS = 'a_total{x="1"} 5\ng NaN\n'

# Each phase: the pages that change, or the targets. Never both: whether a target that goes is scraped once more is chance.
PHASES = [
    {"/plain": WHOLE, "/limited": 'l{a="1",b="2"} 1\nl2 1\n', "files": 2},
    {"/plain": LESS, "/limited": 'l{a="1",b="2"} 1\nl2 1\nl3 1\nl4 1\n'},
    {"/plain": (WHOLE, 500), "/limited": 'l{a="1",b="2"} 1\n'},
    {"/plain": WHOLE, "/limited": 'l{a="1",b="2",c="3"} 1\nl2 1\n'},
    {"/plain": WHOLE + "broken{ 1\n", "/limited": 'l{a="1",b="' + "v" * 31 + '"} 1\n'},
    {"/plain": 'a_total{x="1"} 5\na_total{x="1"} 7\n', "/limited": 'l{a="1",b="2"} 1\nl2 1\n'},
    {"/plain": ""},
    {"files": 1},
    {"/plain": WHOLE},
    {"/sd": "[]"},
]


def sd_groups(target, count):
    groups = [{"targets": [target.address], "labels": {"from": "json", "n": str(i)}} for i in range(count)]
    return json.dumps(groups)


def set_up_pages(target):
    target.set("/conflicts",
               'c{job="inner",instance="there",env="prod",exported_env="old"} 1\n'
               'c{job="",instance="",env=""} 2\n' 'c{exported_job="x",job="y"} 3\n')
    target.set("/echo", lambda path: f'old_name{{path="{path}",code="404"}} 1\nsecret_thing 2\n'
                                     'kept{code="200"} 3\n')
    now = int(time.time() * 1000)
    target.set("/times", f"with {1} {now - 5000}\nwithout 2\n")
    target.set("/slow", "s 1\n", delay_s=2.0)
    target.set("/open", '# TYPE o counter\no_total 3 # {id="1"} 1\no_created 5\n# EOF\n',
               content_type="application/openmetrics-text; version=1.0.0; charset=utf-8")
    target.set("/basic", "b 1\n", auth=basic("me", "pass word"))
    target.set("/bearer", "b 1\n", auth="Bearer tok")
    target.set("/sd", json.dumps([{"targets": [target.address], "labels": {"via": "http"}}]),
               content_type="application/json")


def run_phases(target, folder, sleep_s):
    for phase in PHASES:
        for path, body in phase.items():
            if path == "files":
                (folder / "sd-1.json").write_text(sd_groups(target, body))
            elif isinstance(body, tuple):
                target.set(path, body[0], status=body[1])
            else:
                target.set(path, body, content_type="application/json" if path == "/sd" else "text/plain")
        time.sleep(sleep_s)
    time.sleep(6)  # Prometheus looks at what its discoveries found every five seconds


def read_all(pb, url, begin_ms, end_ms):
    """{labels: [value bits, ...]} with runs of one value as one, by remote read."""
    request = pb.ReadRequest()
    query = request.queries.add(start_timestamp_ms=begin_ms, end_timestamp_ms=end_ms)
    query.matchers.add(type=2, name="__name__", value=".+")
    answer = harness.http("POST", url + "/api/v1/read", snappy.compress(request.SerializeToString()),
                          {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
    assert answer.status == 200, answer.text
    series = {}
    for result in pb.ReadResponse.FromString(snappy.decompress(answer.body)).results:
        for row in result.timeseries:
            labels = tuple((label.name, label.value) for label in row.labels)
            values = []
            for sample in row.samples:
                bits = struct.unpack("<Q", struct.pack("<d", sample.value))[0]
                if not values or values[-1] != bits:
                    values.append(bits)
            series[labels] = values
    return series


def show(values):
    return ["STALE" if v == STALE else struct.unpack("<d", struct.pack("<Q", v))[0] for v in values]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory, remote_pb2):
    missing = harness.missing_program("prometheus")
    if missing:
        pytest.skip(f"{missing} is not installed")
    work = tmp_path_factory.mktemp("scrape")
    target = TargetServer()
    set_up_pages(target)
    config = CONFIG.replace("TARGET", target.address).replace("PORT", str(target.port))
    (work / "password.txt").write_text("pass word\n")
    (work / "sd.yml").write_text(f"- targets: ['{target.address}']\n  labels: {{from: yaml}}\n")
    (work / "sd-1.json").write_text(sd_groups(target, 2))
    target.set("/plain", WHOLE)
    target.set("/limited", PHASES[0]["/limited"])
    (work / "scrape.yml").write_text(config)
    prometheus = harness.Prometheus(work, config)
    cluster = harness.Cluster(work, ingesters=1,
                              distributor_flags=[f"--scrape.config-file={work}/scrape.yml", "--workers=2"])
    begin = int(time.time() * 1000) - 60000
    try:
        prometheus.start()
        cluster.start()
        prometheus.wait_ready()
        run_phases(target, work, float(os.environ.get("NARTHEX_SCRAPE_PHASE_SECONDS", "7")))
        yield cluster, prometheus, target, begin, work
        prometheus.stop()
        cluster.stop()
    finally:
        prometheus.kill()
        cluster.kill()
        target.close()


# Values that differ from scrape to scrape and from machine to machine.
MEASURED = {"scrape_duration_seconds"}


def job_of(labels):
    return dict(labels).get("job")


def test_series_values_and_stale_markers_are_those_of_prometheus(scraped, remote_pb2):
    cluster, prometheus, target, begin, _ = scraped
    end = int(time.time() * 1000)
    ours = read_all(remote_pb2, cluster.querier.url, begin, end)
    # Prometheus asks name servers only; here the hosts file counts too.
    addresses = {dict(labels)["instance"] for labels in ours if job_of(labels) == "dns"}
    assert addresses == {target.address}
    ours = {labels: values for labels, values in ours.items() if job_of(labels) != "dns"}
    theirs = read_all(remote_pb2, prometheus.url, begin, end)
    assert len(theirs) > 140
    assert sorted(set(theirs) ^ set(ours)) == []
    differences = []
    for labels, expected in theirs.items():
        got = ours[labels]
        if dict(labels)["__name__"] in MEASURED:
            expected = [v == STALE for v in expected if v == STALE]
            got = [v == STALE for v in got if v == STALE]
        if dict(labels)["__name__"] == "scrape_series_added":
            # How many scrapes fit between two changes of the targets is chance; all but the first add nothing.
            expected, got = [v for v in expected if v != 0], [v for v in got if v != 0]
        if expected != got:
            differences.append(f"{dict(labels)}: {show(expected)} here {show(got)}")
    assert not differences, "\n".join(differences)
    assert any(STALE in values for values in theirs.values())


def test_intervals_are_regular(scraped):
    cluster, _, _, _, _ = scraped
    (row,) = cluster.querier.query('up{job="plain"}[20s]')
    times = [round(t * 1000) for t, _ in row["values"]]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(gaps) >= 15
    assert abs(sorted(gaps)[len(gaps) // 2] - 1000) <= 20, gaps
    assert abs(sum(gaps) / len(gaps) - 1000) <= 20, gaps


def test_targets_page_is_that_of_prometheus(scraped):
    cluster, prometheus, _, _, _ = scraped
    node = cluster.distributor

    def read(server, query):
        data = harness.http("GET", server.url + "/api/v1/targets" + query).json["data"]
        for active in data["activeTargets"] or []:
            assert active.pop("lastScrape").startswith("20")
            assert active.pop("lastScrapeDuration") >= 0
            assert bool(active.pop("lastError")) == (active["health"] == "down")
            active.pop("globalUrl")
        for kind in ("activeTargets", "droppedTargets"):
            for row in data[kind] or []:
                # the packaged Prometheus is older than these
                row.setdefault("scrapePool", row.get("discoveredLabels", {}).get("job"))
                row["discoveredLabels"] = {k: v for k, v in row["discoveredLabels"].items()
                                           if k != "__meta_filepath"}
            data[kind] = sorted(data[kind] or [], key=json.dumps)
        data["activeTargets"] = [row for row in data["activeTargets"] if row["scrapePool"] != "dns"]
        data.pop("droppedTargetCounts", None)
        return data

    for query in ("", "?state=active", "?state=dropped", "?state=any", "?state=none"):
        assert read(node, query) == read(prometheus, query), query
    only = read(node, "?scrapePool=relabeled")
    assert {row["scrapePool"] for row in only["activeTargets"]} == {"relabeled"}
    assert len(only["activeTargets"]) == 2 and len(only["droppedTargets"]) == 1
    pools = harness.http("GET", node.url + "/api/v1/scrape_pools").json["data"]["scrapePools"]
    assert pools == sorted(pools) and "relabeled" in pools and len(pools) == CONFIG.count("job_name")


def test_targets_metadata_is_that_of_prometheus(scraped):
    cluster, prometheus, _, _, _ = scraped
    node = cluster.distributor
    for query in ("?metric=a_total", "", '?match_target={job="plain"}', "?limit=1"):
        query = query.replace('{job="plain"}', "%7Bjob%3D%22plain%22%7D")
        ours = harness.http("GET", node.url + "/api/v1/targets/metadata" + query).json["data"]
        theirs = harness.http("GET", prometheus.url + "/api/v1/targets/metadata" + query).json["data"]
        if "limit" in query:
            assert len(ours) == 1 <= len(theirs)  # the packaged Prometheus limits each target
            continue
        pick = lambda rows: sorted((r for r in rows if r["target"]["job"] == "plain"), key=json.dumps)
        assert pick(ours) == pick(theirs)
        assert pick(ours)
