"""/federate: what it says in each format, and a packaged Prometheus that scrapes it."""

import gzip
import re
import subprocess
import time
import urllib.parse

import pytest

import harness

snappy = pytest.importorskip("snappy")

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.fixture(scope="module")
def held(single, remote_pb2):
    """The node and the time of the newest samples in ms."""
    now = int(time.time() * 1000)
    at = now - 10000
    writer = harness.Writer(remote_pb2, single.url)
    series = [
        ({"__name__": "up", "job": "a", "instance": "i:1"}, [(at - 15000, 0.0), (at, 1.0)]),
        ({"__name__": "up", "job": "b"}, [(at - 15000, 1.0)]),
        ({"__name__": "up", "job": "gone"}, [(at - 15000, 1.0), (at, harness.STALE_NAN)]),
        ({"__name__": "up", "job": "old"}, [(at - 400000, 1.0)]),
        ({"__name__": "big_total", "job": "a", "path": 'C:\\x "y"\nz'}, [(at, 1.5e21)]),
        ({"__name__": "odd", "job": "a", "kind": "nan"}, [(at, float("nan"))]),
        ({"__name__": "odd", "job": "a", "kind": "inf"}, [(at, float("-inf"))]),
        ({"__name__": "odd", "job": "a", "kind": "small"}, [(at, 1e-7)]),
        ({"__name__": "über.metric", "job": "utf8", "a.b": "x"}, [(at, 2.0)]),
    ]
    request = writer.request(series)
    row = request.timeseries.add()
    for name, value in [("__name__", "exponential"), ("job", "h")]:
        row.labels.add(name=name, value=value)
    h = row.histograms.add(timestamp=at, schema=0, count_int=6, zero_count_int=1, sum=12.5,
                           zero_threshold=0.001)
    h.positive_spans.add(offset=0, length=2)
    h.positive_deltas.extend([2, 1])
    row = request.timeseries.add()
    for name, value in [("__name__", "custom"), ("job", "h")]:
        row.labels.add(name=name, value=value)
    h = row.histograms.add(timestamp=at, schema=-53, count_int=10, sum=12.5,
                           custom_values=[0.5, 1, 2.5, 5])
    h.positive_spans.add(offset=1, length=1)
    h.positive_spans.add(offset=1, length=2)
    h.positive_deltas.extend([3, -1, 3])
    body = snappy.compress(request.SerializeToString())
    answer = writer.send_raw(body)
    assert answer.status == 204, answer.text
    return single, at


def federate(node, *selectors, accept=None, **headers):
    query = urllib.parse.urlencode({"match[]": selectors}, doseq=True)
    if accept:
        headers["Accept"] = accept
    return harness.http("GET", f"{node.url}/federate?{query}", headers=headers)


def test_text_is_that_of_prometheus(held):
    node, at = held
    answer = federate(node, '{job=~".+"}')
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4; charset=utf-8")
    assert answer.text == f"""\
# TYPE big_total untyped
big_total{{job="a",path="C:\\\\x \\"y\\"\\nz",instance=""}} 1.5e+21 {at}
# TYPE custom histogram
custom_bucket{{job="h",instance="",le="0.5"}} 0 {at}
custom_bucket{{job="h",instance="",le="1"}} 3 {at}
custom_bucket{{job="h",instance="",le="2.5"}} 3 {at}
custom_bucket{{job="h",instance="",le="5"}} 5 {at}
custom_bucket{{job="h",instance="",le="+Inf"}} 10 {at}
custom_sum{{job="h",instance=""}} 12.5 {at}
custom_count{{job="h",instance=""}} 10 {at}
# TYPE odd untyped
odd{{job="a",kind="inf",instance=""}} -Inf {at}
odd{{job="a",kind="nan",instance=""}} NaN {at}
odd{{job="a",kind="small",instance=""}} 1e-07 {at}
# TYPE up untyped
up{{instance="i:1",job="a"}} 1 {at}
up{{job="b",instance=""}} 1 {at - 15000}
# TYPE _ber_metric untyped
_ber_metric{{a_b="x",job="utf8",instance=""}} 2 {at}
"""


def test_openmetrics_is_well_formed(held):
    node, at = held
    answer = federate(node, "up", "big_total", "custom", accept=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    seconds = f"{at // 1000}.{at % 1000:03d}"
    lines = answer.text.splitlines()
    assert lines[-1] == "# EOF"
    assert "# TYPE up unknown" in lines and "# TYPE custom histogram" in lines
    assert f'up{{instance="i:1",job="a"}} 1.0 {seconds}' in lines
    assert f'custom_bucket{{job="h",instance="",le="1.0"}} 3.0 {seconds}' in lines


def test_names_are_quoted_for_those_who_can_read_it(held):
    node, at = held
    answer = federate(node, '{"über.metric"}', accept="text/plain;version=1.0.0;escaping=allow-utf-8")
    assert answer.text == ('# TYPE "über.metric" untyped\n'
                           f'{{"über.metric","a.b"="x",job="utf8",instance=""}} 2 {at}\n')


@pytest.mark.parametrize("accept,wanted", [
    ("*/*", "text/plain"), ("text/html", "text/plain"), (PROTOBUF, "application/vnd.google.protobuf"),
    ("application/openmetrics-text;q=0.5,text/plain;q=0.9", "text/plain"),
    (f"{PROTOBUF};q=0.4,{OPENMETRICS};q=0.7", "application/openmetrics-text"),
    ("application/vnd.google.protobuf;encoding=text", "text/plain"),
    (";;q=,,=;q=x", "text/plain"),
])
def test_the_format_is_what_was_asked_for(held, accept, wanted):
    node, _ = held
    answer = federate(node, "up", accept=accept)
    assert answer.status == 200 and answer.headers["Content-Type"].split(";")[0] == wanted


def test_selectors_are_united(held):
    node, _ = held
    assert federate(node, "up", '{job="a"}').text.count("\nup{") == 2
    assert federate(node).text == "" and federate(node, "nothing").text == ""
    assert federate(node, "nothing", accept=OPENMETRICS).text == "# EOF\n"
    # Unlike those of the API, selectors of only empty matchers are allowed; see also golden/http.json.
    assert federate(node, "{}").text.count("\nup{") == 2 and federate(node, '{nothing=""}').text.count("\nup{") == 2
    for selector in ("up{", "up[5m]", '{a=~"("}'):
        answer = federate(node, "up", selector)
        assert answer.status == 400 and answer.headers["Content-Type"].startswith("text/plain")
    assert harness.http("POST", node.url + "/federate?match[]=up").status == 405
    assert harness.http("GET", node.url + "/prometheus/federate?match[]=up").text.count("up{") == 2


def test_answers_are_compressed(held):
    node, _ = held
    answer = federate(node, "up", **{"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == federate(node, "up").body


def test_promtool_reads_it(held):
    node, _ = held
    if harness.missing_program("promtool"):
        pytest.skip("promtool is not installed")
    done = subprocess.run(["promtool", "check", "metrics"], input=federate(node, '{job=~".+"}').body,
                          capture_output=True, check=False)
    # 3: read, but there are no help texts, which a federated sample never has
    complaints = [line for line in done.stderr.decode().splitlines()
                  if not re.search(r"no help text|no metric suffix|non-histogram|counter", line)]
    assert done.returncode in (0, 3) and not complaints, done.stderr.decode()


def scrape(held, tmp_path, flags=()):
    node, at = held
    config = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: federation
    honor_labels: true
    metrics_path: /federate
    params: {{"match[]": ['{{job=~".+"}}']}}
    static_configs: [{{targets: ["127.0.0.1:{node.port}"]}}]
"""
    prometheus = harness.Prometheus(tmp_path, config, "scraper", list(flags))
    try:
        prometheus.start().wait_ready()
        result = harness.wait_until(
            lambda: prometheus.query('{job=~".+",job!="federation"}', at / 1000 + 1), 20, "a scrape")
        times = prometheus.query('up{job=~"a|b"}[10m]', at / 1000 + 1)  # those of the samples
        assert [s["values"][-1][0] for s in times] == [at / 1000, (at - 15000) / 1000]
        up = prometheus.query('up{job="federation"}')
        assert [s["value"][1] for s in up] == ["1"], prometheus.log[-2000:]
        return {tuple(sorted(s["metric"].items())): s.get("value", s.get("histogram")) for s in result}
    finally:
        prometheus.kill()


def names(result):
    return sorted({dict(key)["__name__"] for key in result})


def test_prometheus_ingests_everything(held, tmp_path):
    if harness.missing_program("prometheus"):
        pytest.skip("prometheus is not installed")
    result = scrape(held, tmp_path)
    assert names(result) == ["_ber_metric", "big_total", "custom_bucket", "custom_count", "custom_sum",
                             "odd", "up"]
    value = {key: v[1] for key, v in result.items()}
    # instance="" keeps the scraped target's own away
    assert value[(("__name__", "up"), ("instance", "i:1"), ("job", "a"))] == "1"
    assert value[(("__name__", "up"), ("job", "b"))] == "1"
    assert value[(("__name__", "big_total"), ("job", "a"), ("path", 'C:\\x "y"\nz'))] == "1.5e+21"
    buckets = {float(dict(key)["le"]): v for key, v in value.items() if "le" in dict(key)}
    assert buckets == {0.5: "0", 1: "3", 2.5: "3", 5: "5", float("inf"): "10"}


def test_prometheus_ingests_native_histograms(held, tmp_path):
    if harness.missing_program("prometheus"):
        pytest.skip("prometheus is not installed")
    result = scrape(held, tmp_path, ["--enable-feature=native-histograms"])  # asks for protobuf
    assert "exponential" in names(result) and "up" in names(result) and "odd" in names(result)
    histogram = result[(("__name__", "exponential"), ("job", "h"))][1]
    assert (histogram["count"], histogram["sum"]) == ("6", "12.5")
    assert [b[3] for b in histogram["buckets"]] == ["1", "2", "3"]
    buckets = {float(dict(key)["le"]): v[1] for key, v in result.items() if "le" in dict(key)}
    assert buckets == {0.5: "0", 1: "3", 2.5: "3", 5: "5", float("inf"): "10"}
