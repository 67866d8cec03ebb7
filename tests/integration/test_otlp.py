"""OTLP metrics: what is exported is what a query answers, of every kind of point."""

import gzip
import math
import time

import pytest

import harness

DELTA, CUMULATIVE = 1, 2


@pytest.fixture(scope="module")
def otlp():
    harness.load_protos()
    import otlp_metrics_pb2

    return otlp_metrics_pb2


class Export:
    """A request of one resource."""

    def __init__(self, otlp, **resource):
        self.message = otlp.ExportRequest()
        self.resource = self.message.resource_metrics.add()
        set_attributes(self.resource.resource.attributes, resource)
        self.metrics = self.resource.scope_metrics.add().metrics
        self.now_ns = int(time.time() * 1000) * 1000000

    def metric(self, name, unit=""):
        return self.metrics.add(name=name.encode(), unit=unit.encode(), description=b"what it is")

    def point(self, points, **attributes):
        point = points.add(time_ns=self.now_ns)
        set_attributes(point.attributes, attributes)
        return point

    def send(self, node, headers=None, encode=bytes):
        headers = {"Content-Type": "application/x-protobuf", **(headers or {})}
        return harness.http("POST", node.url + "/otlp/v1/metrics", encode(self.message.SerializeToString()), headers)


def set_attributes(target, attributes):
    for key, value in attributes.items():
        row = target.add(key=key.replace("__", ".").encode())
        if isinstance(value, bool):
            row.value.boolean = value
        elif isinstance(value, int):
            row.value.integer = value
        elif isinstance(value, float):
            row.value.number = value
        else:
            row.value.text = value.encode()


def labels(row):
    return {name: value for name, value in row["metric"].items() if name != "__name__"}


def number(row):
    return float(row["value"][1])


@pytest.mark.parametrize("coding", [None, "gzip", "zstd"])
def test_gauges_and_sums(single, otlp, coding):
    if coding == "zstd":
        zstandard = pytest.importorskip("zstandard")
    tail = coding or "plain"
    export = Export(otlp, service__name="cart", service__namespace="shop", service__instance__id="i-1", host__name="h1")
    gauge = export.metric(f"otlp.{tail}.heap", "By")
    export.point(gauge.gauge.points, pool="old", gen=2, full=True, share=0.5).as_int = 2**40
    total = export.metric(f"otlp.{tail}.requests", "{request}")
    total.sum.temporality, total.sum.monotonic = CUMULATIVE, True
    export.point(total.sum.points, http__method="GET").as_double = 12.5
    encode = {None: bytes, "gzip": gzip.compress, "zstd": lambda body: zstandard.compress(body)}[coding]
    answer = export.send(single, {"Content-Encoding": coding} if coding else None, encode)
    assert (answer.status, answer.body) == (200, b""), answer.text

    found = single.query(f"otlp_{tail}_heap_bytes")
    assert number(found[0]) == 2**40
    assert labels(found[0]) == {"job": "shop/cart", "instance": "i-1", "pool": "old", "gen": "2", "full": "true", "share": "0.5"}
    found = single.query(f"otlp_{tail}_requests_total")
    assert number(found[0]) == 12.5
    assert labels(found[0]) == {"job": "shop/cart", "instance": "i-1", "http_method": "GET"}
    joined = single.query(f"otlp_{tail}_requests_total * on (job, instance) group_left (host_name) target_info")
    assert labels(joined[0])["host_name"] == "h1"
    known = single.get("/api/v1/metadata", {"metric": f"otlp_{tail}_requests_total"}).json["data"]
    assert list(known.values())[0][0] == {"type": "counter", "help": "what it is", "unit": "{request}"}


def test_histograms_and_exemplars(single, otlp):
    export = Export(otlp, service__name="cart")
    metric = export.metric("otlp.latency", "s")
    metric.histogram.temporality = CUMULATIVE
    point = export.point(metric.histogram.points)
    point.count, point.sum = 10, 7.5
    point.bounds.extend([0.1, 1.0])
    point.bucket_counts.extend([4, 5, 1])
    exemplar = point.exemplars.add(time_ns=export.now_ns, as_double=0.5, trace_id=bytes(range(16)), span_id=bytes(range(8)))
    set_attributes(exemplar.attributes, {"user": "u1"})
    metric = export.metric("otlp.native", "s")
    metric.exponential_histogram.temporality = CUMULATIVE
    native = export.point(metric.exponential_histogram.points)
    native.scale, native.count, native.sum, native.zero_count = 0, 6, 9.5, 1
    native.positive.offset = 0
    native.positive.counts.extend([2, 3])  # (1, 2] and (2, 4]
    metric = export.metric("otlp.quantiles")
    summary = export.point(metric.summary.points)
    summary.count, summary.sum = 3, 4.5
    summary.quantiles.add(quantile=0.99, value=2.5)
    assert export.send(single).status == 200

    rows = {labels(row)["le"]: number(row) for row in single.query("otlp_latency_seconds_bucket")}
    assert rows == {"0.1": 4, "1": 9, "+Inf": 10}
    assert number(single.query("otlp_latency_seconds_sum")[0]) == 7.5
    assert number(single.query("otlp_latency_seconds_count")[0]) == 10
    at = export.now_ns / 1e9
    found = single.get("/api/v1/query_exemplars", {"query": "otlp_latency_seconds_bucket", "start": at - 60, "end": at + 60})
    assert found.json["data"][0]["seriesLabels"]["le"] == "1"
    assert found.json["data"][0]["exemplars"][0]["labels"] == {
        "trace_id": bytes(range(16)).hex(), "span_id": bytes(range(8)).hex(), "user": "u1"}
    histogram = single.query("otlp_native_seconds")[0]["histogram"][1]
    assert (histogram["count"], histogram["sum"]) == ("6", "9.5")
    assert [row[1:] for row in histogram["buckets"]] == [["-1e-128", "1e-128", "1"], ["1", "2", "2"], ["2", "4", "3"]]
    assert math.isclose(number(single.query("histogram_quantile(0.5, otlp_native_seconds)")[0]), 2.0)
    assert number(single.query('otlp_quantiles{quantile="0.99"}')[0]) == 2.5


def test_a_point_without_a_value_ends_the_series(single, otlp):
    export = Export(otlp, service__name="cart")
    export.point(export.metric("otlp.ending").gauge.points).as_double = 1
    assert export.send(single).status == 200
    assert len(single.query("otlp_ending", time.time())) == 1
    later = Export(otlp, service__name="cart")
    later.now_ns += 1000000
    later.point(later.metric("otlp.ending").gauge.points).flags = 1
    assert later.send(single).status == 200
    assert single.query("otlp_ending", time.time() + 1) == []


def test_what_is_refused_is_told_and_the_rest_is_stored(single, otlp):
    export = Export(otlp, service__name="cart")
    delta = export.metric("otlp.delta")
    delta.sum.temporality, delta.sum.monotonic = DELTA, True
    export.point(delta.sum.points).as_int = 1
    export.point(delta.sum.points, a="b").as_int = 1
    export.point(export.metric("otlp.beside").gauge.points).as_int = 3
    answer = export.send(single)
    assert answer.status == 400
    assert "temporality" in answer.text and "otlp_delta_total" in answer.text and "2" in answer.text
    assert number(single.query("otlp_beside")[0]) == 3
    assert single.query("otlp_delta_total") == []


def test_bad_requests(single, otlp):
    export = Export(otlp)
    export.point(export.metric("m").gauge.points).as_int = 1
    assert export.send(single, {"Content-Type": "application/json"}).status == 415
    assert export.send(single, {"Content-Encoding": "br"}).status == 415
    answer = export.send(single, encode=lambda body: body[:-3])
    assert answer.status == 400 and "invalid protobuf" in answer.text
    assert harness.http("GET", single.url + "/otlp/v1/metrics").status == 405
    assert Export(otlp).send(single).status == 200
