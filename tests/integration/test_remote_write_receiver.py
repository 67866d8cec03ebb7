"""The receiver compliance list of remote write (prometheus/compliance, remotewrite/receiver): every test and case by its
name. Valid requests must be answered as the strict variants demand ("returns 204"): 204 and the exact written counts."""

import re
import sys
import time

import pytest

import harness
import rw2
from rw2 import (COUNTER, EXEMPLARS, GAUGE, GAUGEHISTOGRAM, HISTOGRAM, HISTOGRAMS, INFO, SAMPLES, STATESET, SUMMARY, TRACE,
                 Request, accept, custom, named, native, refuse, written)

snappy = pytest.importorskip("snappy")

# What the list calls StaleNaN and NaN are the bit patterns as integers, made floats.
VALUES = {"1.0": 1.0, "StaleNaN": float(0x7FF0000000000002), "NaN": float(0x7FF8000000000001),
          "Inf": float("inf"), "-Inf": float("-inf")}
values = pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)

NAMES = """TestBadContentTypes TestBadContentEncodings TestCorruptRequestBody TestSingleMetric TestCounterWithCreatedTimestamp
TestMultipleMetrics TestRW1BasicCompatibility TestRW1ErrorHandling TestSamplesWithMetadataAndExemplars
TestHistogramsWithMetadataAndExemplars TestComplexSamplesRequest TestComplexHistogramsRequest
TestMultipleMetricFamiliesSamples TestMultipleMetricFamiliesHistograms TestEdgeCaseCombinations TestManySamples
TestManyHistograms TestSpecialCharactersCombined TestCustomBucketsHistogramWithExemplar TestExemplars
TestExemplarWithCreatedTimestamp TestMultipleExemplars TestExemplarTimestamps TestExemplarValidation
TestExemplarSpecialValues TestHistograms TestHistogramWithCreatedTimestamp TestMultipleHistograms TestEmptyHistogram
TestHistogramWithMetadata TestHistogramWithExemplar TestHistogramWithMetadataAndExemplar TestMultipleHistogramsWithMetadata
TestMetadata TestCounterMetadataWithCreatedTimestamp TestMetadataWithSamples TestMultipleMetadata
TestMetadataWithComplexLabels TestMetadataValidation""".split()


def cases(**table):
    """Parametrizes `case` and `what` by name."""
    return pytest.mark.parametrize("case, what", table.items(), ids=table)


@pytest.fixture(scope="module")
def v2():
    return rw2.load()


@pytest.fixture
def node(single):
    return single


def created(row, ms=1):
    """Field 6 of a TimeSeries, as the suite's schema still has it: an unknown field, which is passed over."""
    row.MergeFromString(b"\x30" + bytes([ms]))
    assert b"\x30" + bytes([ms]) in row.SerializeToString()


def fill(request, labels, points, count=1, **more):
    data = {"values": [float(i) for i in range(count)]} if points == SAMPLES else {"histograms": [native(request.v2)] * count}
    return request.add(labels, **data, **more)


def test_every_test_of_the_list_is_here():
    here = {re.sub("_", "", name).lower() for name in dir(sys.modules[__name__]) if name.startswith("test_")}
    assert len(NAMES) == 39
    assert [name for name in NAMES if name.lower() not in here] == []


@cases(application_json="application/json", image_png="image/png")
def test_bad_content_types(node, case, what):
    answer = harness.Writer(None, node.url).send_raw_v2(b"\xff\xff", {"Content-Type": what})
    assert answer.status == 415 and written(answer) == (0, 0, 0)


@cases(gzip="gzip", deflate="deflate")
def test_bad_content_encodings(node, case, what):
    answer = harness.Writer(None, node.url).send_raw_v2(b"\xff", {"Content-Encoding": what})
    assert answer.status == 415 and written(answer) == (0, 0, 0)


def test_corrupt_request_body(node):
    writer = harness.Writer(None, node.url)
    for body in (b"\xff\xff\xff", snappy.compress(b"\xff\xff\xff"), b""):
        answer = writer.send_raw_v2(body)
        assert answer.status == 400 and written(answer) == (0, 0, 0), body


@values
@cases(simple_metric=named("rw2_simple"), simple_metric_with_multiple_labels=named("rw2_multiple", a="1", b="2"),
       simple_metric_with_newlines=named("rw2_newlines", a="line\nline"),
       simple_metric_with_dots={"service.name": "x", "__name__": "rw2.dots"},
       simple_metric_with_spaces={"a label": "a value", "__name__": "rw2 spaces"},
       simple_metric_without_name_label={"a": "b"}, empty_metric={})
def test_single_metric(node, v2, case, what, value):
    request = Request(v2)
    request.add({**what, **({"case": f"{case} {value}"} if what else {})}, [value])
    if "__name__" in what:
        accept(node, request, samples=1)
    else:
        refuse(node, request, "metric name")


def test_counter_with_created_timestamp(node, v2):
    request = Request(v2)
    created(request.add(named("rw2_created_total"), [5]))
    accept(node, request, samples=1)


@values
@cases(multiple_metrics=4, multiple_metrics_without_name_label=0, multiple_metrics_1_without_name_label=3)
def test_multiple_metrics(node, v2, case, what, value):
    request = Request(v2)
    for i in range(4):
        labels = {"i": str(i), "v": str(value), "case": case}
        request.add(named("rw2_many", **labels) if 4 - i <= what else labels, [value])
    if what == 4:
        accept(node, request, samples=4)
    else:
        refuse(node, request, "metric name", samples=what)


def test_rw1_basic_compatibility(node, remote_pb2):
    writer = harness.Writer(remote_pb2, node.url)
    body = writer.encode([({"__name__": "rw1_up"}, [(int(time.time() * 1000), 1.0)])])
    answer = harness.http("POST", writer.url, body,
                          {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
    assert answer.status == 204 and written(answer) == (0, 0, 0)


def test_rw1_error_handling(node):
    for body in (b"\xff\xff\xff", snappy.compress(b"\xff\xff\xff"), b"", snappy.compress(b"\x0a\x05\x0a")):
        answer = harness.Writer(None, node.url).send_raw(body)
        assert answer.status == 400 and written(answer) == (0, 0, 0), body


def test_samples_with_metadata_and_exemplars(node, v2):
    request = Request(v2)
    fill(request, named("rw2_meta_samples"), SAMPLES, exemplars=[(TRACE, 0.5)], metadata=(COUNTER, "Some help.", "seconds"))
    accept(node, request, samples=1, exemplars=1)


def test_histograms_with_metadata_and_exemplars(node, v2):
    request = Request(v2)
    fill(request, named("rw2_meta_histograms"), HISTOGRAMS, exemplars=[(TRACE, 0.5)],
         metadata=(HISTOGRAM, "Some help.", "seconds"))
    accept(node, request, histograms=1, exemplars=1)


def complex_request(v2, points):
    request = Request(v2)
    for i in range(5):
        fill(request, named(f"rw2_complex_{points}", i=str(i)), points, 3, exemplars=[(TRACE, i)],
             metadata=(GAUGE, "The same help.", ""))
    return request


def test_complex_samples_request(node, v2):
    accept(node, complex_request(v2, SAMPLES), samples=15, exemplars=5)


def test_complex_histograms_request(node, v2):
    accept(node, complex_request(v2, HISTOGRAMS), histograms=15, exemplars=5)


def families_request(v2, points):
    request = Request(v2)
    for i, kind in enumerate((COUNTER, GAUGE, HISTOGRAM)):
        fill(request, named(f"rw2_family_{points}_{i}", i=str(i)), points, exemplars=[(TRACE, i)],
             metadata=(kind, f"Help of {i}.", "bytes"))
    return request


def test_multiple_metric_families_samples(node, v2):
    accept(node, families_request(v2, SAMPLES), samples=3, exemplars=3)


def test_multiple_metric_families_histograms(node, v2):
    accept(node, families_request(v2, HISTOGRAMS), histograms=3, exemplars=3)


@pytest.mark.parametrize("case", ["metadata_without_data", "exemplars_without_data", "mixed_timestamp_data"])
def test_edge_case_combinations(node, v2, case):
    request = Request(v2)
    if case == "metadata_without_data":
        request.add(named("rw2_only_metadata"), metadata=(GAUGE, "Nothing else.", ""))
        refuse(node, request, "TimeSeries must contain at least one sample or histogram, series: rw2_only_metadata")
    elif case == "exemplars_without_data":
        request.add(named("rw2_only_exemplars"), exemplars=[(TRACE, 1)])
        refuse(node, request, "the series of an exemplar has no sample")
    else:
        for hours in (2, 1, 0):
            request.add(named("rw2_mixed_times"), [hours], at=-hours * 3000000)
        accept(node, request, samples=3)


def fifty(v2, points):
    request = Request(v2)
    for i in range(50):
        fill(request, named(f"rw2_fifty_{points}", i=str(i)), points)
    return request


def test_many_samples(node, v2):
    accept(node, fifty(v2, SAMPLES), samples=50)


def test_many_histograms(node, v2):
    accept(node, fifty(v2, HISTOGRAMS), histograms=50)


def test_special_characters_combined(node, v2):
    text = "日本語 \"quoted\" \\ \n 🔥"
    request = Request(v2)
    request.add(named("rw2_special", **{"größe": text}), [1], exemplars=[({"ort": text}, 1)], metadata=(GAUGE, text, ""))
    accept(node, request, samples=1, exemplars=1)
    found = node.query("rw2_special", request.now / 1000)
    assert found[0]["metric"]["größe"] == text


def test_custom_buckets_histogram_with_exemplar(node, v2):
    request = Request(v2)
    request.add(named("rw2_custom"), histograms=[custom(v2)], exemplars=[(TRACE, 0.7)])
    accept(node, request, histograms=1, exemplars=1)


@cases(basic_exemplar=TRACE, exemplar_with_span_id={**TRACE, "span_id": "fedcba98"},
       exemplar_without_trace_id={"request": "7"}, exemplar_with_multiple_labels={**TRACE, "a": "b", "c": "d"},
       exemplar_no_labels={}, exemplar_with_special_chars={"path": "/a?b=\"c\"&\\"},
       exemplar_with_unicode={"ort": "Köln 日本"})
def test_exemplars(node, v2, case, what):
    request = Request(v2)
    request.add(named("rw2_exemplar_total", case=case), [1], exemplars=[(what, 1)])
    accept(node, request, samples=1, exemplars=1)
    span = {"start": request.now / 1000 - 60, "end": request.now / 1000 + 60}
    answer = node.get("/api/v1/query_exemplars", {"query": f'rw2_exemplar_total{{case="{case}"}}', **span})
    assert [e["labels"] for e in answer.json["data"][0]["exemplars"]] == [what]


def test_exemplar_with_created_timestamp(node, v2):
    request = Request(v2)
    created(request.add(named("rw2_exemplar_created_total"), [1], exemplars=[(TRACE, 1)]))
    accept(node, request, samples=1, exemplars=1)


def test_multiple_exemplars(node, v2):
    request = Request(v2)
    request.add(named("rw2_three_total"), [1], exemplars=[({"n": str(i)}, i) for i in range(3)])
    accept(node, request, samples=1, exemplars=3)


def test_exemplar_timestamps(node, v2):
    request = Request(v2)
    for minutes in (60, 1, 0):
        request.add(named("rw2_times_total"), [1], exemplars=[(TRACE, 1)], at=-minutes * 60000)
    accept(node, request, samples=3, exemplars=3)


def validate(node, v2, labels, **extra):
    request = Request(v2)
    request.add({**labels, "with": next(iter(extra))}, [1], **extra)
    if labels.get("__name__"):
        accept(node, request, samples=1, exemplars=len(extra.get(EXEMPLARS, ())))
    else:
        refuse(node, request, "metric name")


@cases(exemplar_without_name_label={"a": "b"}, exemplar_with_empty_name={"__name__": "", "a": "b"},
       exemplar_with_valid_name=named("rw2_ok"))
def test_exemplar_validation(node, v2, case, what):
    validate(node, v2, what, exemplars=[(TRACE, 1)])


@cases(zero_value=0.0, negative=-1.5, large=1e300, small=5e-324, NaN=float("nan"), Inf=float("inf"), minus_Inf=float("-inf"))
def test_exemplar_special_values(node, v2, case, what):
    request = Request(v2)
    request.add(named("rw2_exemplar_value_total", v=case), [1], exemplars=[(TRACE, what)])
    accept(node, request, samples=1, exemplars=1)


@cases(basic_histogram={}, custom_buckets_histogram=None, positive_only_histogram={"negative_deltas": [], "count_int": 7},
       negative_only_histogram={"positive_deltas": [], "count_int": 5},
       minimal_histogram={"positive_deltas": [], "negative_deltas": [], "zero_count_int": 1, "count_int": 1},
       bad_count_histogram={"count_int": 3})
def test_histograms(node, v2, case, what):
    request = Request(v2)
    histogram = custom(v2) if what is None else native(v2, **what)
    request.add(named("rw2_histogram", case=case), histograms=[histogram] * 2)
    if case == "bad_count_histogram":
        request.add(named("rw2_good_histogram"), histograms=[native(v2)])
        refuse(node, request, "observations found in buckets", histograms=1)
    else:
        accept(node, request, histograms=2)
        assert node.query(f'histogram_count(rw2_histogram{{case="{case}"}})', request.now / 1000 + 1)[0]["value"][1] == \
            str(histogram.count_int)


def test_histogram_with_created_timestamp(node, v2):
    request = Request(v2)
    created(request.add(named("rw2_histogram_created"), histograms=[native(v2)]))
    accept(node, request, histograms=1)


def test_multiple_histograms(node, v2):
    request = Request(v2)
    for i in range(3):
        request.add(named("rw2_histograms", i=str(i)), histograms=[native(v2), native(v2, count_int=11, zero_count_int=3)])
    accept(node, request, histograms=6)


def test_empty_histogram(node, v2):
    request = Request(v2)
    empty = native(v2, positive_deltas=[], negative_deltas=[], zero_count_int=0, count_int=0, sum=0)
    request.add(named("rw2_histogram_empty"), histograms=[empty])
    accept(node, request, histograms=1)


META = (HISTOGRAM, "A histogram.", "seconds")


def test_histogram_with_metadata(node, v2):
    request = Request(v2)
    request.add(named("rw2_h_metadata"), histograms=[native(v2)], metadata=META)
    accept(node, request, histograms=1)


def test_histogram_with_exemplar(node, v2):
    request = Request(v2)
    request.add(named("rw2_h_exemplar"), histograms=[native(v2)], exemplars=[(TRACE, 1)])
    accept(node, request, histograms=1, exemplars=1)


def test_histogram_with_metadata_and_exemplar(node, v2):
    request = Request(v2)
    request.add(named("rw2_h_both"), histograms=[native(v2)], exemplars=[(TRACE, 1)], metadata=META)
    accept(node, request, histograms=1, exemplars=1)


def test_multiple_histograms_with_metadata(node, v2):
    request = Request(v2)
    for i in range(3):
        request.add(named(f"rw2_h_many_{i}"), histograms=[native(v2)], metadata=META)
    accept(node, request, histograms=3)


@cases(counter_metadata=(COUNTER, "Requests.", "requests"), gauge_metadata=(GAUGE, "Degrees.", "celsius"),
       histogram_metadata=(HISTOGRAM, "Times.", "seconds"), metadata_no_help_no_unit=(GAUGE, "", ""),
       metadata_with_special_chars=(COUNTER, "Line\nline \"quoted\" ü.", ""), unspecified_metadata_type=(0, "Unspecified.", ""),
       info_metadata_type=(INFO, "Build.", ""), stateset_metadata_type=(STATESET, "States.", ""),
       summary_metadata_type=(SUMMARY, "Sizes.", "bytes"), gauge_histogram_metadata_type=(GAUGEHISTOGRAM, "Queues.", ""))
def test_metadata(node, v2, case, what):
    kind, help_text, unit = what
    names = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"]
    suffixes = {HISTOGRAM: ["_bucket", "_count", "_sum"], SUMMARY: ["", "_count", "_sum"]}.get(kind, [""])
    request = Request(v2)
    for suffix in suffixes:
        request.add(named(f"rw2_{case}{suffix}", a="b"), [1], metadata=what)
    accept(node, request, samples=len(suffixes))
    found = node.get("/api/v1/metadata", {"metric": f"rw2_{case}"}).json["data"]
    assert found == {f"rw2_{case}": [{"type": names[kind], "help": help_text, "unit": unit}]}


def test_counter_metadata_with_created_timestamp(node, v2):
    request = Request(v2)
    created(request.add(named("rw2_m_created_total"), [1], metadata=(COUNTER, "Help.", "")))
    accept(node, request, samples=1)


def test_metadata_with_samples(node, v2):
    request = Request(v2)
    request.add(named("rw2_m_samples_total"), [1, 2, 3], metadata=(COUNTER, "Help.", ""))
    accept(node, request, samples=3)


def test_multiple_metadata(node, v2):
    request = Request(v2)
    for i in range(3):
        request.add(named(f"rw2_m_many_{i}"), [1], metadata=(GAUGE, f"Help {i}.", ""))
    accept(node, request, samples=3)
    for i in range(3):
        found = node.get("/api/v1/metadata", {"metric": f"rw2_m_many_{i}"}).json["data"]
        assert found[f"rw2_m_many_{i}"][0]["help"] == f"Help {i}."


def test_metadata_with_complex_labels(node, v2):
    request = Request(v2)
    request.add(named("rw2_m_complex", **{"http.method": "GET", "path": "/ä\"\\", "code": "200"}), [1],
                metadata=(COUNTER, "Help.", "requests"))
    accept(node, request, samples=1)


@cases(metadata_without_name_label={"a": "b"}, metadata_with_empty_name={"__name__": "", "a": "b"},
       metadata_with_valid_name=named("rw2_ok"))
def test_metadata_validation(node, v2, case, what):
    validate(node, v2, what, metadata=(COUNTER, "Help.", ""))
