"""Native histograms by protobuf exposition: Narthex and the packaged Prometheus scrape the same target, and both end up with
the same series, samples, histograms, exemplars and stale markers."""

import json
import struct
import time

import pytest

import exposition_pb as e
import harness
from scrape_target import TargetServer

snappy = pytest.importorskip("snappy")

STALE = 0x7FF0000000000002

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 900ms}
scrape_configs:
  - job_name: families
    metrics_path: /families
    OPTIONSstatic_configs: [{targets: ["TARGET"], labels: {env: test}}]
  - job_name: changing
    metrics_path: /changing
    OPTIONSstatic_configs: [{targets: ["TARGET"]}]
  - job_name: broken
    metrics_path: /broken
    OPTIONSstatic_configs: [{targets: ["TARGET"]}]
"""

OURS_ONLY = """  - job_name: classic
    metrics_path: /families
    scrape_protocols: [PrometheusProto]
    static_configs: [{targets: ["TARGET"]}]
  - job_name: both
    metrics_path: /families
    scrape_native_histograms: true
    always_scrape_classic_histograms: true
    static_configs: [{targets: ["TARGET"]}]
  - job_name: coarse
    metrics_path: /families
    scrape_native_histograms: true
    native_histogram_min_bucket_factor: 2
    static_configs: [{targets: ["TARGET"]}]
  - job_name: few
    metrics_path: /families
    scrape_native_histograms: true
    native_histogram_bucket_limit: 4
    static_configs: [{targets: ["TARGET"]}]
  - job_name: too_few
    metrics_path: /families
    scrape_native_histograms: true
    native_histogram_bucket_limit: 1
    static_configs: [{targets: ["TARGET"]}]
  - job_name: text
    metrics_path: /text
    static_configs: [{targets: ["TARGET"]}]
"""


def families(begin_ms):
    counter = e.values("pb_requests_total", "COUNTER", [({"code": "200"}, 5), ({"code": "500"}, 0.5)], "Requests.")
    e.exemplar(counter.metric[0].counter.exemplar, 0.7, begin_ms, trace_id="of a counter")
    gauges = e.values("pb_gauge", "GAUGE", [({"v": "nan"}, float("nan")), ({"v": "inf"}, float("-inf")),
                                            ({"v": "small"}, 5e-324), ({"v": "größe\n\"x\""}, -1.5)])
    untyped = e.values("pb_untyped", "UNTYPED", [({}, 1e300)])
    summary = e.summary("pb_latency_seconds", 12, 3.5, [(0, 1), (0.5, 2), (0.99, 3.25), (1, float("nan"))], a="b")
    classic, row = e.histogram("pb_classic", 9, 12.5, [(-1, 1), (0, 2), (0.25, 3), (1, 4), (1e6, 5), (1e21, 6), (2.5e-5, 6)])
    e.exemplar(row.bucket[2].exemplar, 0.2, begin_ms, trace_id="of a bucket")
    infinite, _ = e.histogram("pb_infinite", 3, 1, [(1, 2), (float("inf"), 3)])
    exponential, row = e.histogram("pb_native", 21, 47.5, [(1, 9), (float("inf"), 21)], path="/")
    e.native(row, 3, [(-5, 2), (-4, 3), (0, 4), (7, 1)], [(1, 5), (3, 2)], (1e-3, 4))
    e.exemplar(row.bucket[0].exemplar, 0.5, begin_ms, trace_id="of a native one")
    only, row = e.histogram("pb_native_only", 6, 3)
    e.native(row, 0, [(0, 1), (1, 0), (2, 5)])
    empty, row = e.histogram("pb_native_empty", 0, 0)
    e.native(row, 5)
    floats, row = e.histogram("pb_native_floats", 0, 2.5)
    row.sample_count_float = 4.25
    e.native(row, -2, [(0, 1.5), (4, 2.0)], (), (0.5, 0.75), floats=True)
    gauge_histogram, row = e.histogram("pb_gauge_histogram", 3, 3, kind="GAUGE_HISTOGRAM")
    e.native(row, 1, [(1, 1), (2, 2)])
    stamped = e.family("pb_stamped", "GAUGE")
    e.metric(stamped, begin_ms).gauge.value = 7
    nothing = e.family("pb_nothing", "COUNTER")
    return e.page(counter, gauges, untyped, summary, classic, infinite, exponential, only, empty, floats, gauge_histogram,
                  stamped, nothing)


def changing(with_second):
    made = []
    for name in ["pb_first", "pb_second"][: 1 + with_second]:
        histogram, row = e.histogram(name, 6, 3)
        e.native(row, 2, [(0, 1), (1, 5)])
        made.append(histogram)
    return e.page(*made)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    missing = harness.missing_program("prometheus")
    if missing:
        pytest.skip(f"{missing} is not installed")
    work = tmp_path_factory.mktemp("protobuf")
    target = TargetServer()
    begin = int(time.time() * 1000)
    target.set("/families", families(begin), content_type=e.CONTENT_TYPE)
    target.set("/changing", changing(True), content_type=e.CONTENT_TYPE)
    target.set("/broken", changing(True), content_type=e.CONTENT_TYPE)
    target.set("/text", "t 1\n")
    config = CONFIG.replace("TARGET", target.address)
    (work / "scrape.yml").write_text(config.replace("OPTIONS", "scrape_native_histograms: true\n    ")
                                     + OURS_ONLY.replace("TARGET", target.address))
    prometheus = harness.Prometheus(work, config.replace("OPTIONS", ""),
                                    flags=["--enable-feature=native-histograms,exemplar-storage"])
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "scraper", port, work, [f"--scrape.config-file={work}/scrape.yml", "--storage.retention=10y"])
    try:
        prometheus.start()
        node.start().wait_ready()
        prometheus.wait_ready()

        def both_have(path, n):
            return lambda: min(target.count(path, "prometheus"), target.count(path, "narthex")) >= n

        harness.wait_until(both_have("/changing", 3), 60, "three rounds of scrapes")
        changed_at = time.time()
        target.set("/changing", changing(False), content_type=e.CONTENT_TYPE)
        target.set("/broken", changing(True)[:-3], content_type=e.CONTENT_TYPE)
        seen = [target.count("/changing", client) for client in ("prometheus", "narthex")]
        harness.wait_until(both_have("/changing", max(seen) + 3), 60, "three more")
        time.sleep(1)
        yield node, prometheus, target, begin, changed_at
        prometheus.stop()
        assert node.stop() == 0, node.log[-3000:]
    finally:
        prometheus.kill()
        node.kill()
        target.close()


def normal(h):
    """A histogram of remote read, apart from how its buckets lie in spans; None for a stale marker."""
    if struct.unpack("<Q", struct.pack("<d", h.sum))[0] == STALE:
        return None
    sides = []
    for side in ("positive", "negative"):
        spans, deltas, counts = (getattr(h, f"{side}_{part}") for part in ("spans", "deltas", "counts"))
        index, total, buckets = 0, 0, {}
        values = iter(counts or deltas)
        for span in spans:
            index += span.offset
            for _ in range(span.length):
                value = next(values)
                total = value if counts else total + value
                if total:
                    buckets[index] = total
                index += 1
        sides.append(buckets)
    return (h.schema, h.zero_threshold, h.zero_count_int or h.zero_count_float, h.count_int or h.count_float, h.sum, *sides,
            h.WhichOneof("count") == "count_float")


def read_all(pb, url, begin_ms):
    """{labels: [floats as bits and histograms, runs as one]} by remote read."""
    request = pb.ReadRequest()
    query = request.queries.add(start_timestamp_ms=begin_ms - 60000, end_timestamp_ms=int(time.time() * 1000))
    query.matchers.add(type=2, name="__name__", value="pb_.+|up|scrape_samples.*")
    answer = harness.http("POST", url + "/api/v1/read", snappy.compress(request.SerializeToString()),
                          {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
    assert answer.status == 200, answer.text
    series = {}
    for result in pb.ReadResponse.FromString(snappy.decompress(answer.body)).results:
        for row in result.timeseries:
            points = [(s.timestamp, struct.unpack("<Q", struct.pack("<d", s.value))[0]) for s in row.samples]
            points += [(h.timestamp, normal(h)) for h in row.histograms]
            values = []
            for _, value in sorted(points, key=lambda p: p[0]):
                value = None if value == STALE else value
                if not values or values[-1] != value:
                    values.append(value)
            series[tuple((label.name, label.value) for label in row.labels)] = values
    return series


def of_jobs(series, *jobs):
    return {labels: values for labels, values in series.items() if dict(labels)["job"] in jobs}


JOBS = ("families", "changing", "broken")


def test_series_values_and_stale_markers_are_those_of_prometheus(scraped, remote_pb2):
    node, prometheus, _, begin, _ = scraped
    theirs = of_jobs(read_all(remote_pb2, prometheus.url, begin), *JOBS)
    ours = of_jobs(read_all(remote_pb2, node.url, begin), *JOBS)
    assert len(theirs) > 40
    assert sorted(set(theirs) ^ set(ours)) == []
    # The packaged Prometheus leaves histograms out of this form of remote read; they are compared below.
    floats = {labels: values for labels, values in theirs.items() if values}
    assert len(floats) > 30
    differences = [f"{dict(labels)}: {expected} here {ours[labels]}"
                   for labels, expected in floats.items() if expected != ours[labels]]
    assert not differences, "\n".join(differences)
    ended = {dict(labels)["job"] for labels, values in ours.items()
             if dict(labels)["__name__"] == "pb_second" and values[-1] is None}
    assert ended == {"changing", "broken"}


def histograms(server, at):
    rows = server.query(f'{{__name__=~"pb_.+",job=~"{"|".join(JOBS)}"}}', at)
    return {json.dumps(row["metric"], sort_keys=True): row["histogram"][1] for row in rows if "histogram" in row}


def test_histograms_are_those_of_prometheus(scraped):
    node, prometheus, _, _, changed_at = scraped
    # Those that have ended are stale; what could be read of a broken page before the fault is not, as in Prometheus.
    for at, count in ((changed_at, 9), (time.time(), 7)):
        theirs, ours = histograms(prometheus, at), histograms(node, at)
        assert len(theirs) == count
        assert ours == theirs


def test_exemplars_are_those_of_prometheus(scraped):
    node, prometheus, _, begin, _ = scraped

    def read(server):
        params = f"?query=%7Bjob%3D%22families%22%7D&start={begin / 1000 - 60}&end={time.time() + 60}"
        data = harness.http("GET", server.url + "/api/v1/query_exemplars" + params).json["data"]
        return sorted(data, key=json.dumps)

    theirs = read(prometheus)
    assert sum(len(row["exemplars"]) for row in theirs) == 3
    assert read(node) == theirs


def query(node, expr):
    return {tuple(sorted(row["metric"].items())): row for row in node.query(expr)}


def names(node, job):
    return {row["metric"]["__name__"] for row in node.query(f'{{job="{job}",__name__=~"pb_native.*"}}')}


def test_native_histograms_are_asked_for_and_classic_ones_kept_where_wanted(scraped):
    node, _, _, _, _ = scraped
    native = {"pb_native", "pb_native_only", "pb_native_empty", "pb_native_floats"}
    assert names(node, "families") == native
    classic = {name + suffix for name in native for suffix in ("_count", "_sum", "_bucket")}
    assert names(node, "classic") == classic
    assert names(node, "both") == native | {"pb_native_count", "pb_native_sum", "pb_native_bucket"}


def test_resolution_is_limited_as_the_job_says(scraped, remote_pb2):
    node, _, _, begin, _ = scraped
    series = read_all(remote_pb2, node.url, begin)
    by_job = {dict(labels)["job"]: values[0] for labels, values in series.items()
              if dict(labels)["__name__"] == "pb_native"}
    assert by_job["families"][0] == 3 and by_job["coarse"][0] == 0
    few = by_job["few"]
    assert len(few[5]) + len(few[6]) <= 4 and sum(few[5].values()) == 10 and sum(few[6].values()) == 7
    for row in node.query('up{job=~"few|too_few|coarse"}'):
        assert row["value"][1] == ("0" if row["metric"]["job"] == "too_few" else "1")
    targets = node.get("/api/v1/targets").json["data"]["activeTargets"]
    (failed,) = [t["lastError"] for t in targets if t["scrapePool"] == "too_few"]
    assert "bucket limit" in failed


def test_the_accept_header_is_that_of_prometheus(scraped):
    node, _, target, _, _ = scraped
    assert target.headers[("/text", "narthex")]["Accept"] == (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
    assert target.headers[("/changing", "narthex")]["Accept"].startswith(
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,")


def test_metadata_of_families(scraped):
    node, prometheus, _, _, _ = scraped
    for server in (node, prometheus):
        found = harness.http("GET", server.url + "/api/v1/metadata?metric=pb_requests_total").json["data"]
        assert found["pb_requests_total"][0]["type"] == "counter" and found["pb_requests_total"][0]["help"] == "Requests."
