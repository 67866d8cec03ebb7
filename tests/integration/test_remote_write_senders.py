"""The sender compliance list of remote write (prometheus/compliance, remotewrite/sender), every test and case by its name,
from the receiver's side: what a sender that passes the case sends is stored to the bit, and it is answered as the case wants
senders to be. The sender of 1.0 is the packaged Prometheus behind a proxy that keeps its requests and makes the faults; as it
does not speak 2.0, each of its requests is also sent in that form to another tenant, with the written counts checked."""

import socket
import struct
import time

import pytest

import exposition_pb as e
import harness
import rw2
from fault_proxy import FaultProxy
from scrape_target import TargetServer

snappy = pytest.importorskip("snappy")

STALE = 0x7FF0000000000002
LONG = "x" * 1000


def gauge(value, **labels):
    return [(labels, value)]


def many(count, **labels):
    return [({"i": str(i), **labels}, float(i)) for i in range(count)]


# Tests of what is sent: the case, and its series as (labels, value), exposed under the case's name unless they have one.
CONTENT = {
    "TestBatchingBehavior": {
        "multiple_series_per_request": many(20), "batch_size_reasonable": many(3),
        "handles_varying_cardinality": many(5, a="1") + many(50, b="2"), "efficient_symbol_reuse": many(10, same="same"),
        "metadata_batching": many(2)},
    "TestConcurrentRequests": {"": many(30)},
    "TestCombinedFeatures": {
        "samples_with_metadata": gauge(1), "samples_with_exemplars": gauge(1), "histogram_with_metadata_and_exemplars": gauge(1),
        "multiple_metric_types": many(4), "high_cardinality_labels": [({c: c * 20 for c in "abcdefghijklmno"}, 1.0)],
        "complete_metric_family": [({"__name__": f"complete_metric_family_{s}"}, 2.0) for s in ("count", "sum")],
        "mixed_labels_and_metadata": gauge(3, code="200"),
        "real_world_scenario": [({"method": m, "code": c}, float(len(m + c))) for m in ("GET", "POST") for c in ("200", "500")]},
    "TestEdgeCases": {
        "empty_scrape": [], "huge_label_values": gauge(1, huge=LONG * 2), "unicode_in_labels": gauge(1, city="Köln 日本 🔥"),
        "many_timeseries": many(300), "high_cardinality": [({"id": f"{i:032x}"}, 1.0) for i in range(100)],
        "very_long_metric_name": [({"__name__": "very_long_metric_name_" + "n" * 400}, 1.0)],
        "special_float_combinations": [({"v": str(v)}, v) for v in (float("inf"), float("-inf"), float("nan"), -0.5, 5e-324,
                                                                   1.7976931348623157e308)],
        "zero_timestamp": gauge(1), "future_timestamp": gauge(1),
        "metric_name_with_colons": [({"__name__": "job:metric_name_with_colons:rate5m"}, 1.5)],
        "stale_marker": gauge(9), "mixed_sample_and_histogram_families": gauge(1)},
    "TestRobustnessUnderLoad": {"": many(200)},
    "TestExemplarEncoding": {name: gauge(1) for name in (
        "exemplar_with_trace_id", "exemplar_with_span_id", "exemplar_value_valid", "exemplar_timestamp_valid",
        "exemplar_labels_valid_refs", "exemplar_custom_labels", "exemplar_on_histogram", "exemplar_labels_even_length",
        "multiple_exemplars_per_series")},
    "TestHistogramEncoding": {name: [] for name in (
        "native_histogram_structure", "histogram_count_present", "histogram_sum_present", "histogram_buckets_ordered",
        "histogram_positive_buckets", "histogram_negative_buckets", "histogram_zero_bucket", "histogram_schema",
        "histogram_timestamp", "histogram_no_mixed_with_samples", "histogram_empty_buckets", "histogram_large_counts")},
    "TestLabelValidation": {
        "label_lexicographic_ordering": gauge(1, zz="1", aa="2", ZZ="3", _a="4"), "metric_name_label_present": gauge(1),
        "metric_name_format_valid": [({"__name__": "metric_name_format_valid_:x9"}, 1.0)], "label_name_format_valid": gauge(1, _x9="y"),
        "no_duplicate_label_names": gauge(1, one="1", two="2"), "label_names_not_empty": gauge(1, n="v"),
        "label_values_may_be_empty": gauge(1, empty="", full="x"), "reserved_label_prefix": gauge(1, __reserved__="x"),
        "unicode_in_label_values": gauge(1, v="ä日🔥"), "special_chars_in_label_values": gauge(1, v="\\ \" \n \t {}=,#"),
        "very_long_label_names": gauge(1, **{"n" * 500: "v"}), "very_long_label_values": gauge(1, v=LONG),
        "many_labels_per_series": [({f"l{i}": str(i) for i in range(25)}, 1.0)]},
    "TestMetadataEncoding": {name: gauge(1) for name in (
        "metadata_type_counter", "metadata_type_gauge", "metadata_type_histogram", "metadata_type_summary", "metadata_help_text",
        "metadata_unit", "metadata_help_with_newlines", "metadata_help_with_special_chars", "metadata_help_refs_valid",
        "metadata_consistent_across_series", "metadata_empty_help_allowed")},
    "TestSampleEncoding": {
        "float_value_encoding": gauge(3.14159), "integer_value_encoding": gauge(42), "zero_value_encoding": gauge(0),
        "negative_value_encoding": gauge(-17.5), "positive_infinity_encoding": gauge(float("inf")),
        "negative_infinity_encoding": gauge(float("-inf")), "nan_encoding": gauge(float("nan")),
        "timestamp_milliseconds_format": gauge(1), "timestamp_recent": gauge(1), "multiple_samples_same_series": gauge(1),
        "large_float_values": gauge(1.7e308), "small_float_values": gauge(2.5e-308), "scientific_notation": gauge(1.5e-7),
        "precision_preservation": gauge(0.1234567890123456789), "job_instance_labels_present": gauge(1)},
    "TestSampleOrdering": {"": gauge(1)},
    "TestSymbolTable": {
        "empty_string_at_index_zero": gauge(1), "string_deduplication": many(5, x="one text"),
        "labels_refs_valid_indices": many(3), "labels_refs_even_length": many(3)},
    "TestSymbolTableEfficiency": {"": many(100, a="same", b="same")},
    "TestTimestampEncoding": {name: gauge(1) for name in (
        "timestamp_int64_milliseconds", "timestamp_ordering_within_series", "start_timestamp_for_counters",
        "start_timestamp_for_histograms", "start_timestamp_zero_handling", "timestamp_precision", "timestamp_future_values",
        "start_timestamp_before_sample_timestamp")},
    "TestRemoteWrite1Compatibility": {name: gauge(1) for name in (
        "rw1_version_header", "rw1_content_type", "rw1_samples_encoding", "rw1_labels_encoding", "rw1_no_native_histograms",
        "rw1_no_start_timestamp", "rw1_metadata_handling", "rw1_symbol_table_not_used")},
    "TestRemoteWrite1Configuration": {"": gauge(1)},
    "TestProtocolCompliance": {name: gauge(1) for name in (
        "content_type_protobuf", "content_type_with_proto_param", "content_encoding_snappy", "version_header_present",
        "version_header_value", "user_agent_present", "snappy_block_format", "protobuf_parseable")},
    "TestHTTPMethod": {"": gauge(1)},
}


def flood(*statuses):
    """Answers the first requests with these; the others pass."""
    return lambda n, passed: statuses[n] if n < len(statuses) else None


def first(action):
    return lambda n, passed: action if n == 0 else None


def hang(handler, forward):
    time.sleep(3)  # longer than the sender's time-out
    handler.close_connection = True


def drop(handler, forward):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def store_and_drop(handler, forward):
    forward()
    drop(handler, forward)


def garble(handler, forward):
    forward()
    handler.wfile.write(b"no HTTP at all\r\n\r\n")
    handler.close_connection = True


def large_error(status):
    return lambda handler, forward: handler.answer(status, b"e" * (1 << 20))


def ok_with_body(handler, forward):
    status, _, headers = forward()
    handler.answer(200 if status == 204 else status, b"a body nobody reads", headers)


def without_headers(handler, forward):
    status, body, _ = forward()
    handler.answer(status, body)


def spoil(n, passed):
    """A series without a name joins the first request: the receiver refuses it and stores the others."""
    if n == 0:
        pb = harness.load_protos()
        request = pb.WriteRequest.FromString(snappy.decompress(passed.body))
        row = request.timeseries.add()
        row.labels.add(name="nameless", value="x")
        row.samples.add(timestamp=int(time.time() * 1000), value=1)
        passed.body = snappy.compress(request.SerializeToString())


# Tests of how senders take answers: (what happens to its requests, whether all samples must arrive in the end).
ANSWERS = {
    "TestBackoffBehavior": {name: (flood(503, 503, 503, 503, 503), True) for name in (
        "exponential_backoff_on_retries", "backoff_required", "backoff_max_delay", "backoff_with_jitter")},
    "TestErrorHandling": {
        "handle_connection_refused": (first(drop), True), "handle_timeout": (first(hang), True), "handle_partial_write": (spoil, True),
        "handle_malformed_response": (first(garble), True), "sender_continues_after_errors": (flood(400, 500, 404, 503), False),
        "handle_invalid_status_code": (flood(999), False), "handle_empty_response": (first(store_and_drop), True),
        "handle_large_error_response": (first(large_error(500)), True)},
    "TestNetworkErrors": {"dns_resolution_failure": ("http://no.such.host.invalid/x", None),
                          "invalid_url_scheme": ("gopher://127.0.0.1/x", None)},
    "TestResponseProcessing": {
        "ignore_response_body_on_success": (lambda n, p: ok_with_body, True), "process_written_count_headers": (None, True),
        "handle_partial_write_response": (spoil, True), "handle_missing_written_headers": (lambda n, p: without_headers, True),
        "log_error_messages_verbatim": (spoil, True), "handle_large_error_body": (first(large_error(400)), False),
        "handle_204_no_content": (None, True), "handle_200_ok": (lambda n, p: ok_with_body, True)},
    "TestRetryBehavior": {
        "no_retry_on_400": (flood(400), False), "no_retry_on_401": (flood(401), False), "no_retry_on_404": (flood(404), False),
        "may_retry_on_429": (flood(429), False), "retry_on_500": (flood(500, 500), True), "retry_on_503": (flood(503, 503), True),
        "retry_on_502": (flood(502, 502), True), "retry_on_504": (flood(504, 504), True), "no_retry_on_413": (flood(413), False)},
}
# Those of a sender that falls back to another version, which a Python one does here.
FALLBACK = {
    "TestFallbackBehavior": ["fallback_on_415_unsupported_media_type", "retry_with_different_version", "fallback_header_changes",
                             "accept_success_after_fallback", "persistent_fallback_choice"],
    "TestNoFallbackOn2xx": [""], "TestContentTypeNegotiation": [""],
}

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 900ms}
scrape_configs:
  - job_name: text
    metrics_path: /text
    static_configs: [{targets: ["TARGET"]}]
  - job_name: open
    metrics_path: /open
    static_configs: [{targets: ["TARGET"]}]
  - job_name: native
    metrics_path: /native
    static_configs: [{targets: ["TARGET"]}]
  - job_name: empty
    metrics_path: /empty
    static_configs: [{targets: ["TARGET"]}]
remote_write:
  - url: PROXY/one/api/v1/write
    send_exemplars: true
    send_native_histograms: true
    queue_config: {batch_send_deadline: 200ms}
    metadata_config: {send_interval: 1s}
  - url: PROXY/plain/api/v1/write
    queue_config: {batch_send_deadline: 200ms}
    metadata_config: {send: false}
"""
QUEUE = """  - url: URL
    remote_timeout: 1s
    queue_config: {batch_send_deadline: 200ms, max_shards: 1}
    metadata_config: {send: false}
    write_relabel_configs: [{source_labels: [__name__], regex: up, action: keep}]
"""


def exposed_name(test, case):
    return case or "single_" + test


def escape(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def pages():
    lines = []
    for test, table in CONTENT.items():
        for case, rows in table.items():
            for labels, value in rows:
                own = {k: v for k, v in labels.items() if k != "__name__"}
                name = labels.get("__name__", exposed_name(test, case))
                text = ",".join(f'{k}="{escape(v)}"' for k, v in own.items())
                lines.append(f"{name}{{{text}}} {value!r}".replace(" inf", " +Inf").replace(" nan", " NaN"))
    now = time.time()
    open_text = ""
    for case in CONTENT["TestExemplarEncoding"]:
        span = ',span_id="s"' if "span" in case else ""
        open_text += (f'# HELP of_{case} "Help" of \\\\ a\\nline ü.\n# TYPE of_{case} counter\n'
                      f'of_{case}_total 5 # {{trace_id="{case}"{span}}} 0.5 {now:.3f}\n')
    for case in CONTENT["TestMetadataEncoding"]:
        kind = next((k for k in ("counter", "histogram", "summary") if k in case), "gauge")
        open_text += f"# TYPE of_{case} {kind}\n# HELP of_{case} Help of {case}: \\n\"ü\\\\.\n"
        open_text += f"of_{case}{'_total' if kind == 'counter' else '_count' if kind in ('histogram', 'summary') else ''} 1\n"
    families = []
    for i, case in enumerate(CONTENT["TestHistogramEncoding"]):
        made, row = e.histogram(case, 21 + (10**15 if "large" in case else 0), 47.5 + i)
        if "empty" in case:
            row.sample_count = 0
            e.native(row, 5)
        else:
            extra = 10**15 if "large" in case else 0
            e.native(row, i % 8, [(-5, 2), (-4, 3), (0, 4 + extra), (7, 1)], [(1, 5), (3, 2)], (1e-3, 4))
        families.append(made)
    return "\n".join(lines) + "\n", open_text + "# EOF\n", e.page(*families)


def to_v2(v2, request):
    """The same in remote write 2.0, and what the answer must count."""
    made = rw2.Request(v2)
    for row in request.timeseries:
        to = made.message.timeseries.add(labels_refs=made.refs({label.name: label.value for label in row.labels}))
        for sample in row.samples:
            to.samples.add(value=sample.value, timestamp=sample.timestamp)
        for histogram in row.histograms:
            to.histograms.add().MergeFromString(histogram.SerializeToString())
        for one in row.exemplars:
            to.exemplars.add(value=one.value, timestamp=one.timestamp,
                             labels_refs=made.refs({label.name: label.value for label in one.labels}))
    rows = request.timeseries
    return made, tuple(sum(len(getattr(row, kind)) for row in rows) for kind in ("samples", "histograms", "exemplars"))


class Sent:
    pass


@pytest.fixture(scope="module")
def sent(tmp_path_factory, remote_pb2):
    missing = harness.missing_program("prometheus")
    if missing:
        pytest.skip(f"{missing} is not installed")
    s = Sent()
    work = tmp_path_factory.mktemp("senders")
    (port,) = harness.free_ports(1)
    s.pb, s.target, s.proxy = remote_pb2, TargetServer(), FaultProxy(port)
    s.node = harness.Node("all", "receiver", port, work, ["--auth.multitenancy=true", "--storage.retention=10y"])
    text, s.open_text, native = pages()
    s.target.set("/text", text)
    s.target.set("/open", s.open_text, content_type="application/openmetrics-text; version=1.0.0; charset=utf-8")
    s.target.set("/native", native, content_type=e.CONTENT_TYPE)
    s.target.set("/empty", "")
    config = CONFIG
    for test, table in ANSWERS.items():
        for case, (fault, _) in table.items():
            if isinstance(fault, str):
                config += QUEUE.replace("URL", fault)
            else:
                s.proxy.faults[case] = fault
                config += QUEUE.replace("URL", f"PROXY/{case}/api/v1/write")
    config = config.replace("TARGET", s.target.address).replace("PROXY", s.proxy.url)
    s.prometheus = harness.Prometheus(work, config, flags=["--enable-feature=native-histograms,exemplar-storage"])
    try:
        s.node.start().wait_ready()
        s.begin_ms = int(time.time() * 1000)
        s.prometheus.start().wait_ready()
        harness.wait_until(lambda: s.target.count("/text", "prometheus") >= 6, 90, "six scrapes")
        s.target.set("/text", text.replace("stale_marker{} 9\n", ""))  # it goes
        harness.wait_until(lambda: s.target.count("/text", "prometheus") >= 10, 90, "four more")
        harness.wait_until(lambda: all(len(s.proxy.of(case)) >= 8 for case in s.proxy.faults), 120, "requests of every queue")
        s.end_ms = int(time.time() * 1000)  # what comes later is not looked at
        time.sleep(5)
        s.log = s.prometheus.log
        repeat_in_v2(s)
        yield s
        s.prometheus.kill()
        assert s.node.stop() == 0, s.node.log[-3000:]
    finally:
        s.prometheus.kill()
        s.node.kill()
        s.proxy.close()
        s.target.close()


def repeat_in_v2(s):
    v2 = rw2.load()
    for passed in s.proxy.of("one"):
        request = s.pb.WriteRequest.FromString(snappy.decompress(passed.body))
        if not request.timeseries:
            continue
        made, counts = to_v2(v2, request)
        answer = harness.Writer(None, s.node.url).send_raw_v2(made.body(), {"X-Scope-OrgID": "two"})
        assert answer.status == 204, answer.text
        assert rw2.written(answer) == counts


def read_all(pb, url, begin_ms, end_ms, tenant=None):
    """{labels: {time: bits of a float, or a histogram's bytes without its hint}}"""
    request = pb.ReadRequest()
    query = request.queries.add(start_timestamp_ms=begin_ms, end_timestamp_ms=end_ms)
    query.matchers.add(type=2, name="__name__", value=".+")
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    answer = harness.http("POST", url + "/api/v1/read", snappy.compress(request.SerializeToString()),
                          {**headers, **({"X-Scope-OrgID": tenant} if tenant else {})})
    assert answer.status == 200, answer.text
    series = {}
    for result in pb.ReadResponse.FromString(snappy.decompress(answer.body)).results:
        for row in result.timeseries:
            points = {x.timestamp: struct.unpack("<Q", struct.pack("<d", x.value))[0] for x in row.samples}
            for histogram in row.histograms:
                histogram.ClearField("reset_hint")
                points[histogram.timestamp] = histogram.SerializeToString()
            series[tuple((label.name, label.value) for label in row.labels)] = points
    return series


def sent_points(s, name):
    """What came to the proxy with times up to the end."""
    series = {}
    for passed in s.proxy.of(name):
        for row in s.pb.WriteRequest.FromString(snappy.decompress(passed.body)).timeseries:
            points = series.setdefault(tuple((label.name, label.value) for label in row.labels), {})
            points.update({x.timestamp: struct.unpack("<Q", struct.pack("<d", x.value))[0] for x in row.samples})
            for histogram in row.histograms:
                histogram.ClearField("reset_hint")
                points[histogram.timestamp] = histogram.SerializeToString()
    return until(s.end_ms, series)


def until(end_ms, series):
    cut = {labels: {t: value for t, value in points.items() if t <= end_ms} for labels, points in series.items()}
    return {labels: points for labels, points in cut.items() if points}


@pytest.fixture(scope="module")
def stored(sent):
    """By version, what is stored of the sender's data."""
    return {version: read_all(sent.pb, sent.node.url, sent.begin_ms - 60000, sent.end_ms, tenant)
            for version, tenant in (("1.0", "one"), ("2.0", "two"))}


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_nothing_is_lost_and_nothing_added(sent, stored, version):
    expected = sent_points(sent, "one")
    assert len(expected) > 900
    assert sorted(set(expected) ^ set(stored[version])) == []
    assert [labels for labels in expected if expected[labels] != stored[version][labels]] == []
    assert sum(isinstance(v, bytes) for points in expected.values() for v in points.values()) >= 100
    # and what was sent is what Prometheus has, as far as it tells of it
    theirs = read_all(sent.pb, sent.prometheus.url, sent.begin_ms - 60000, sent.end_ms - 3000)
    floats = {labels: points for labels, points in theirs.items() if points}
    assert len(floats) > 900
    assert [labels for labels, points in floats.items()
            if not set(points.items()) <= set(stored[version].get(labels, {}).items())] == []


@pytest.mark.parametrize("tenant", ["one", "two"])
def test_no_exemplar_is_lost(sent, tenant):
    def read(url, headers=None):
        query = "?query=%7B__name__%3D~%22of_.%2B%22%7D&start=0&end=99999999999"
        rows = harness.http("GET", url + "/api/v1/query_exemplars" + query, headers=headers).json["data"]
        return {row["seriesLabels"]["__name__"]: row["exemplars"] for row in rows}

    sent_labels = {label.value for passed in sent.proxy.of("one")
                   for row in sent.pb.WriteRequest.FromString(snappy.decompress(passed.body)).timeseries
                   for one in row.exemplars for label in one.labels if label.name == "trace_id"}
    assert sent_labels == set(CONTENT["TestExemplarEncoding"])
    found = read(sent.node.url, {"X-Scope-OrgID": tenant})
    assert set(found) == {f"of_{case}_total" for case in CONTENT["TestExemplarEncoding"]}
    assert all(row[0]["value"] == "0.5" and row[0]["labels"]["trace_id"] in name for name, row in found.items())


def all_cases(tables):
    return [pytest.param(test, case, id=f"{test}-{case}" if case else test) for test, table in tables.items() for case in table]


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("test, case", all_cases(CONTENT))
def test_content(sent, stored, test, case, version):
    series = stored[version]
    name = exposed_name(test, case)
    for labels, value in CONTENT[test][case]:
        own = {"__name__": name, **{k: v for k, v in labels.items() if v}, "job": "text", "instance": sent.target.address}
        points = series[tuple(sorted(own.items()))]
        assert len(points) >= 5
        values = set(points.values())
        if case == "stale_marker":
            assert values == {bits(9), STALE} and points[max(points)] == STALE
        elif value != value:
            assert values == {0x7FF8000000000001} or values == {0x7FF8000000000000}, values
        else:
            assert values == {bits(value)}
        assert all(sent.begin_ms - 2000 <= t <= sent.end_ms for t in points)
    if test == "TestHistogramEncoding":
        points = series[(("__name__", case), ("instance", sent.target.address), ("job", "native"))]
        assert len(points) >= 5 and all(isinstance(v, bytes) for v in points.values())
        sums = {sent.pb.Histogram.FromString(v).sum for v in points.values()}
        assert sums == {47.5 + list(CONTENT[test]).index(case)}
    if test == "TestMetadataEncoding" and version == "1.0":
        found = harness.http("GET", sent.node.url + "/api/v1/metadata?metric=of_" + case,
                             headers={"X-Scope-OrgID": "one"}).json["data"]
        kind = next((k for k in ("counter", "histogram", "summary") if k in case), "gauge")
        assert found[f"of_{case}"] == [{"type": kind, "help": f'Help of {case}: \n"ü\\.', "unit": ""}]
    if case == "empty_scrape":
        assert [dict(labels)["__name__"] for labels in series if dict(labels)["job"] == "empty" and
                not dict(labels)["__name__"].startswith("scrape_")] == ["up"]


def test_protocol_of_requests(sent):
    """What TestProtocolCompliance, TestHTTPMethod, TestRemoteWrite1Compatibility and TestRemoteWrite1Configuration say of a
    request holds for those that were taken, so that it is such requests that the receiver was shown to take."""
    passed = sent.proxy.of("one")
    assert len(passed) > 10 and {p.status for p in passed} == {204}
    for p in passed:
        assert p.headers["content-type"] == "application/x-protobuf" and p.headers["content-encoding"] == "snappy"
        assert p.headers["x-prometheus-remote-write-version"] == "0.1.0" and p.headers["user-agent"].startswith("Prometheus/")
    for p in sent.proxy.of("plain"):
        request = sent.pb.WriteRequest.FromString(snappy.decompress(p.body))
        assert p.status == 204 and not any(row.histograms or row.exemplars for row in request.timeseries)
        assert not request.metadata


@pytest.mark.parametrize("test, case", all_cases({k: v for k, v in ANSWERS.items() if k != "TestNetworkErrors"}))
def test_answers(sent, test, case):
    _, whole = ANSWERS[test][case]
    passed = sent.proxy.of(case)
    received = read_all(sent.pb, sent.node.url, sent.begin_ms - 60000, sent.end_ms, case)
    received.pop((("nameless", "x"),), None)
    expected = {labels: points for labels, points in sent_points(sent, case).items() if ("nameless", "x") not in labels}
    refused = [p for p in passed if p.status is None]
    statuses = [p.status for p in passed if p.status is not None]
    if whole:
        assert received == expected
        assert set(statuses) <= {204} | ({400} if sent.proxy.faults[case] is spoil else set())
    else:
        # dropped are those requests that were answered with an error, and they are not sent again
        assert set(received) == set(expected) and received != expected
        assert len(refused) >= 1 and all(p.body != q.body for p in refused for q in passed if p is not q and q.status == 204) \
            or case == "sender_continues_after_errors"
    if test == "TestBackoffBehavior":
        at = [p.at for p in passed[:6]]
        gaps = [b - a for a, b in zip(at, at[1:])]
        assert gaps[-1] > gaps[0] and all(0.02 < gap < 30 for gap in gaps), gaps
    if sent.proxy.faults[case] is spoil:
        assert statuses[0] == 400 and b"metric name" in passed[0].answer
    if case == "log_error_messages_verbatim":
        assert passed[0].answer.decode().strip().splitlines()[0].replace('"', '\\"') in sent.log


@pytest.mark.parametrize("case", ANSWERS["TestNetworkErrors"])
def test_network_errors(sent, case):
    """A queue that reaches nobody takes nothing from the others."""
    url, _ = ANSWERS["TestNetworkErrors"][case]
    assert any(f"url={url}" in line and "err=" in line for line in sent.log.splitlines())
    assert len(sent.proxy.of("handle_204_no_content")) >= 4


V1 = {"Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}
V2 = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "X-Prometheus-Remote-Write-Version": "2.0.0"}
V3 = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request", "X-Prometheus-Remote-Write-Version": "3.0.0"}


@pytest.mark.parametrize("test, case", all_cases(FALLBACK))
def test_versions(sent, test, case):
    tenant = {"X-Scope-OrgID": "versions"}
    writer = harness.Writer(sent.pb, sent.node.url)
    old = writer.encode([({"__name__": "versions", "case": case or test}, [(sent.begin_ms, 1.0)])])
    made = rw2.Request(rw2.load())
    made.add({"__name__": "versions", "case": case or test}, [2.0])
    if test == "TestNoFallbackOn2xx":
        assert writer.send_raw(made.body(), {**V2, **tenant}).status == 204
        return
    if test == "TestContentTypeNegotiation":
        for kind in ("application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest"):
            assert writer.send_raw(old, {**V1, **tenant, "Content-Type": kind}).status == 204
        assert writer.send_raw(made.body(), {**V2, **tenant}).status == 204
        return
    for _ in range(2):  # the newer one is refused each time, before its body is looked at, and the older one taken
        assert writer.send_raw(b"\xff of a version to come", {**V3, **tenant}).status == 415
        assert writer.send_raw(made.body(), {**V2, **tenant}).status == 204
        assert writer.send_raw(old, {**V1, **tenant}).status == 204


def test_every_case_of_the_list_is_here():
    tables = {**CONTENT, **ANSWERS, **FALLBACK}
    assert len(tables) == 26
    assert sum(len(table) for table in tables.values()) == 157
