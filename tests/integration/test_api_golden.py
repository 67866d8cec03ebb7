"""The HTTP API, request by request: what golden/*.json say is answered, by Narthex and by the packaged Prometheus.

    python3 tests/integration/test_api_golden.py --record

writes the answers of both servers into the cases that have none yet, to be read against the documentation before they
are kept.
"""

import argparse
import http.server
import sys
import tempfile
import threading
from pathlib import Path

import pytest

import golden
import harness

START = 1_700_000_000_000
CONFIG = "global: {scrape_interval: 1m, evaluation_interval: 1m}\n"
STRANGE = "quote \" backslash \\ <less> & ü \u2028 tab\t line\n"
CLASSIC = {"0.1": 1, "1": 4, "+Inf": 5}


class Data:
    """Ten minutes of samples every 15 s."""

    def __init__(self, pb):
        self.pb = pb
        self.request = pb.WriteRequest()
        self.times = [START + 15_000 * i for i in range(41)]
        self.counters()
        self.gauges()
        self.histograms()
        for family, kind, help_text, unit in (
                ("http_requests", pb.MetricMetadata.COUNTER, "Requests <answered>.", ""),
                ("temperature_celsius", pb.MetricMetadata.GAUGE, "How warm it is.", "celsius"),
                ("request_duration_seconds", pb.MetricMetadata.HISTOGRAM, "Time to answer.", "seconds")):
            self.request.metadata.add(metric_family_name=family, type=kind, help=help_text, unit=unit)

    def row(self, name, value_of, **labels):
        row = self.request.timeseries.add()
        for label, value in sorted({"__name__": name, **labels}.items()):
            row.labels.add(name=label, value=value)
        for i, t in enumerate(self.times):
            value = value_of(i)
            if value is not None:
                row.samples.add(timestamp=t, value=value)
        return row

    def counters(self):
        self.row("http_requests_total", lambda i: i * 3.0, job="api", instance="a:1", code="200")
        self.row("http_requests_total", lambda i: float(i // 4), job="api", instance="a:1", code="500")
        self.row("http_requests_total", lambda i: i % 20 * 5.0, job="api", instance="b:2", code="200")
        for le, size in CLASSIC.items():
            row = self.row("request_duration_seconds_bucket", lambda i: float(i * size), job="api", le=le)
            for i in (4, 12):
                if le != "+Inf":
                    exemplar = row.exemplars.add(value=float(le) / 2, timestamp=self.times[i] + 137)
                    exemplar.labels.add(name="trace_id", value=f"{le}-{i}")
        self.row("request_duration_seconds_count", lambda i: i * 5.0, job="api")
        self.row("request_duration_seconds_sum", lambda i: i * 1.25, job="api")

    def gauges(self):
        self.row("temperature", lambda i: i / 2 - 3, zone="eu")
        self.row("temperature", lambda i: 20.0, zone="us")
        for kind, value in (("nan", float("nan")), ("inf", float("inf")), ("ninf", float("-inf")), ("1e21", 1e21),
                            ("below 1e21", 9.99e20), ("1e-6", 1e-6), ("below 1e-6", 9e-7), ("tiny", 5e-324),
                            ("third", 1 / 3), ("half", 1e6 + 0.5)):
            self.row("odd", lambda i: value, kind=kind)
        self.row("strange", lambda i: 1.0, value=STRANGE)
        self.row("gone", lambda i: (1.0 if i < 20 else harness.STALE_NAN) if i <= 20 else None, job="api")
        self.row("lonely", lambda i: 7.0 if i == 20 else None)

    def histograms(self):
        row = self.row("sizes", lambda i: None, job="api")
        for i, t in enumerate(self.times):
            histogram = row.histograms.add(count_int=i * 4 + 4, sum=i * 10.5 + 3, schema=0, zero_threshold=0.001,
                                           zero_count_int=1, timestamp=t)
            histogram.negative_spans.add(offset=0, length=1)
            histogram.negative_deltas.append(1)
            histogram.positive_spans.add(offset=0, length=2)
            histogram.positive_deltas.extend((i + 1, 2 * i))


class Exposition(http.server.BaseHTTPRequestHandler):
    """A target with the metrics that have metadata."""

    TEXT = """# HELP http_requests Requests <answered>.
# TYPE http_requests counter
http_requests_total 1
# HELP temperature_celsius How warm it is.
# TYPE temperature_celsius gauge
# UNIT temperature_celsius celsius
temperature_celsius 1
# HELP request_duration_seconds Time to answer.
# TYPE request_duration_seconds histogram
# UNIT request_duration_seconds seconds
request_duration_seconds_bucket{le="+Inf"} 1
request_duration_seconds_count 1
request_duration_seconds_sum 1
# EOF
"""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.TEXT.encode())

    def log_message(self, *args):
        pass


class Bench:
    """Both servers with the same data."""

    def __init__(self, workdir):
        (port,) = harness.free_ports(1)
        self.narthex = harness.Node("all", "narthex", port, workdir,
                                    ["--storage.retention=10y", "--query.features=promql-per-step-stats"])
        self.workdir = workdir
        self.prometheus = self.scraping = self.target = None
        if not harness.missing_program("prometheus"):
            self.prometheus = harness.Prometheus(workdir, CONFIG, flags=[
                "--web.enable-remote-write-receiver",
                "--enable-feature=exemplar-storage,native-histograms,promql-per-step-stats"])

    def start(self):
        servers = [server for server in (self.narthex, self.prometheus) if server]
        for server in servers:
            server.start()
        pb = harness.load_protos()
        body = Data(pb).request.SerializeToString()
        for server in servers:
            server.wait_ready()
            writer = harness.Writer(pb, server.url)
            answer = writer.send_raw(writer.snappy.compress(body))
            assert answer.status == 204, f"{server.name}: {answer.status} {answer.text}"
        return self

    def packaged(self, scrapes):
        """The packaged Prometheus that received the data, or one that scrapes; None where there is none."""
        if not scrapes or not self.prometheus:
            return self.prometheus
        if not self.scraping:
            self.target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exposition)
            threading.Thread(target=self.target.serve_forever, daemon=True).start()
            config = ("scrape_configs: [{job_name: target, scrape_interval: 200ms, scrape_timeout: 200ms, "
                      f"static_configs: [{{targets: ['127.0.0.1:{self.target.server_port}']}}]}}]\n")
            self.scraping = harness.Prometheus(self.workdir, config, name="scraping").start()
            self.scraping.wait_ready()
            harness.wait_until(lambda: harness.http("GET", self.scraping.url + "/api/v1/metadata").json["data"], 20,
                               "metadata")
        return self.scraping

    def stop(self):
        for server in (self.narthex, self.prometheus, self.scraping):
            if server:
                server.kill()
        if self.target:
            self.target.shutdown()
            self.target.server_close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = Bench(tmp_path_factory.mktemp("golden"))
    try:
        yield made.start()
    finally:
        made.stop()


def cases():
    for path in sorted(golden.FOLDER.glob("*.json")):
        content = golden.load(path)
        for case in content["cases"]:
            yield pytest.param(case, content.get("packaged") == "scrapes", id=f"{path.stem}: {case['name']}")


@pytest.mark.parametrize("case, scrapes", cases())
def test_narthex_answers(bench, case, scrapes):
    difference = golden.check(case, case, golden.ask(bench.narthex.url, case))
    assert difference is None, difference


@pytest.mark.parametrize("case, scrapes", cases())
def test_packaged_prometheus_answers(bench, case, scrapes):
    expected = case.get("packaged", case)
    prometheus = bench.packaged(scrapes)
    if prometheus is None:
        pytest.skip("prometheus is not installed")
    if "status" not in expected:
        pytest.skip(expected["why"])
    difference = golden.check(case, expected, golden.ask(prometheus.url, case))
    assert difference is None, difference


def record(paths):
    """Fills in what cases lack; says where the servers differ."""
    with tempfile.TemporaryDirectory(prefix="narthex-golden-") as workdir:
        servers = Bench(Path(workdir))
        try:
            servers.start()
            for path in paths:
                content = golden.load(path)
                prometheus = servers.packaged(content.get("packaged") == "scrapes")
                for case in content["cases"]:
                    golden.record(case, servers.narthex.url, prometheus.url)
                golden.save(path, content)
        finally:
            servers.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", required=True)
    parser.add_argument("files", nargs="*", type=Path)
    record(parser.parse_args().files or sorted(golden.FOLDER.glob("*.json")))
    sys.exit(0)
