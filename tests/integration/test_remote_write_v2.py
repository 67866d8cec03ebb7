"""Remote write 2.0 as the receiver compliance list has it: every case by its name, each with the exact written counts."""

import struct
import time

import pytest

import harness

snappy = pytest.importorskip("snappy")

SAMPLES, HISTOGRAMS, EXEMPLARS = "samples", "histograms", "exemplars"
COUNTER, GAUGE, HISTOGRAM, GAUGEHISTOGRAM, SUMMARY, INFO, STATESET = range(1, 8)
# What the list calls StaleNaN and NaN are the bit patterns as integers, made floats.
VALUES = [1.0, float(0x7FF0000000000002), float(0x7FF8000000000001), float("inf"), float("-inf")]
TRACE = {"trace_id": "0123456789abcdef"}


@pytest.fixture(scope="module")
def v2():
    harness.load_protos()
    import remote_write_v2_pb2

    return remote_write_v2_pb2


@pytest.fixture
def node(single):
    return single


class Request:
    """Builds a request; labels in the order given."""

    def __init__(self, v2):
        self.v2, self.message, self.numbers = v2, v2.Request(), {}
        self.ref("")
        self.now = int(time.time() * 1000)

    def ref(self, text):
        if text not in self.numbers:
            self.numbers[text] = len(self.numbers)
            self.message.symbols.append(text)
        return self.numbers[text]

    def refs(self, labels):
        return [self.ref(text) for pair in labels.items() for text in pair]

    def add(self, labels, values=(), histograms=(), exemplars=(), metadata=None, at=0):
        """values: floats, 10 ms apart from now + at on; exemplars: (labels, value)."""
        row = self.message.timeseries.add(labels_refs=self.refs(labels))
        for i, value in enumerate(values):
            row.samples.add(value=value, timestamp=self.now + at + 10 * i)
        for i, histogram in enumerate(histograms):
            row.histograms.add().CopyFrom(histogram)
            row.histograms[-1].timestamp = self.now + at + 10 * i
        for i, (own, value) in enumerate(exemplars):
            row.exemplars.add(labels_refs=self.refs(own), value=value, timestamp=self.now + at + 10 * i)
        if metadata:
            kind, help_text, unit = metadata
            row.metadata.type, row.metadata.help_ref, row.metadata.unit_ref = kind, self.ref(help_text), self.ref(unit)
        return row

    def body(self):
        return snappy.compress(self.message.SerializeToString())


def named(name, **labels):
    return {"zone": "z", "__name__": name, **labels}  # not sorted


def native(v2, **changes):
    fields = dict(count_int=10, sum=20.5, schema=1, zero_threshold=1e-9, zero_count_int=2,
                  positive_deltas=[3, -1], negative_deltas=[2, -1])
    fields.update(changes)
    h = v2.Histogram(**fields)
    if fields["positive_deltas"]:
        h.positive_spans.add(offset=0, length=len(fields["positive_deltas"]))
    if fields["negative_deltas"]:
        h.negative_spans.add(offset=0, length=len(fields["negative_deltas"]))
    return h


def custom(v2):
    h = v2.Histogram(count_int=6, sum=3.5, schema=-53, positive_deltas=[1, 1, 1], custom_values=[0.1, 1.0])
    h.positive_spans.add(offset=0, length=3)
    return h


def written(answer):
    return tuple(int(answer.headers[f"X-Prometheus-Remote-Write-{kind}-Written"])
                 for kind in ("Samples", "Histograms", "Exemplars"))


def send(node, request, **kwargs):
    return harness.Writer(None, node.url).send_raw_v2(request.body(), **kwargs)


def accept(node, request, samples=0, histograms=0, exemplars=0):
    answer = send(node, request)
    assert (answer.status, answer.text) == (204, "")
    assert written(answer) == (samples, histograms, exemplars)


def refuse(node, request, text, samples=0, histograms=0, exemplars=0):
    answer = send(node, request)
    assert answer.status == 400 and text in answer.text, answer.text
    assert written(answer) == (samples, histograms, exemplars)


@pytest.mark.parametrize("kind", ["application/json", "image/png"])
def test_bad_content_types(node, kind):
    answer = harness.Writer(None, node.url).send_raw_v2(b"\xff\xff", {"Content-Type": kind})
    assert answer.status == 415 and written(answer) == (0, 0, 0)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bad_content_encodings(node, encoding):
    assert harness.Writer(None, node.url).send_raw_v2(b"\xff", {"Content-Encoding": encoding}).status == 415


def test_corrupt_request_body(node):
    writer = harness.Writer(None, node.url)
    for body in (b"\xff\xff\xff", snappy.compress(b"\xff\xff\xff"), b""):
        assert writer.send_raw_v2(body).status == 400, body
        assert writer.send_raw(body).status == (204 if body == snappy.compress(b"") else 400)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("case, labels, good", [
    ("simple", named("rw2_simple"), True),
    ("multiple labels", named("rw2_multiple", a="1", b="2"), True),
    ("newlines", named("rw2_newlines", a="line\nline"), True),
    ("dots", {"service.name": "x", "__name__": "rw2.dots"}, True),
    ("spaces", {"a label": "a value", "__name__": "rw2 spaces"}, True),
    ("without name label", {"a": "b"}, False),
    ("empty", {}, False),
])
def test_single_metric(node, v2, case, labels, good, value):
    request = Request(v2)
    request.add({**labels, **({"case": f"{case} {value}"} if labels else {})}, [value])
    if good:
        accept(node, request, samples=1)
    else:
        refuse(node, request, "metric name")


@pytest.mark.parametrize("value", VALUES)
def test_multiple_metrics(node, v2, value):
    request = Request(v2)
    for i in range(4):
        request.add(named("rw2_many", i=str(i), v=str(value)), [value])
    accept(node, request, samples=4)
    request = Request(v2)
    for i in range(4):
        request.add({"i": str(i)}, [value])
    refuse(node, request, "metric name")
    request = Request(v2)
    for i in range(4):
        request.add(named("rw2_some", i=str(i), v=str(value)) if i else {"i": "0"}, [value])
    refuse(node, request, "metric name", samples=3)


def test_counter_with_created_timestamp(node, v2):
    """TimeSeries field 6 of earlier drafts and field 3 of a sample are skipped."""
    request = Request(v2)
    row = request.add(named("rw2_created_total"), [5])
    created = b"\x30\x01"  # field 6, varint
    start = b"\x18\x01"  # field 3 of the sample
    sample = row.samples[0].SerializeToString() + start
    body = b"\x0a" + bytes([len(row.labels_refs)]) + bytes(row.labels_refs) + b"\x12" + bytes([len(sample)]) + sample
    body += created
    symbols = request.v2.Request(symbols=request.message.symbols).SerializeToString()
    message = symbols + b"\x2a" + bytes([len(body)]) + body
    answer = harness.Writer(None, node.url).send_raw_v2(snappy.compress(message))
    assert answer.status == 204 and written(answer) == (1, 0, 0)


def test_rw1_basic_compatibility(node, remote_pb2):
    writer = harness.Writer(remote_pb2, node.url)
    body = writer.encode([({"__name__": "rw1_up"}, [(int(time.time() * 1000), 1.0)])])
    answer = harness.http("POST", writer.url, body,
                          {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
    assert answer.status == 204 and written(answer) == (0, 0, 0)


@pytest.mark.parametrize("points", [SAMPLES, HISTOGRAMS])
def test_with_metadata_and_exemplars(node, v2, points):
    request = Request(v2)
    data = {"values": [1]} if points == SAMPLES else {"histograms": [native(v2)]}
    request.add(named(f"rw2_meta_{points}"), **data, exemplars=[(TRACE, 0.5)], metadata=(COUNTER, "Some help.", "seconds"))
    accept(node, request, exemplars=1, **{points: 1})


@pytest.mark.parametrize("points", [SAMPLES, HISTOGRAMS])
def test_complex_request(node, v2, points):
    request = Request(v2)
    for i in range(5):
        data = {"values": [1, 2, 3]} if points == SAMPLES else {"histograms": [native(v2)] * 3}
        request.add(named(f"rw2_complex_{points}_{i % 2}", i=str(i)), **data, exemplars=[(TRACE, i)],
                    metadata=(GAUGE, f"Help of {i % 2}.", ""))
    accept(node, request, exemplars=5, **{points: 15})


def test_edge_case_combinations(node, v2):
    request = Request(v2)
    request.add(named("rw2_only_metadata"), metadata=(GAUGE, "Nothing else.", ""))
    refuse(node, request, "TimeSeries must contain at least one sample or histogram, series: rw2_only_metadata")
    request = Request(v2)
    request.add(named("rw2_only_exemplars"), exemplars=[(TRACE, 1)])
    refuse(node, request, "the series of an exemplar has no sample")
    request = Request(v2)
    for hours in (2, 1, 0):
        request.add(named("rw2_mixed_times"), [hours], at=-hours * 3000000)
    accept(node, request, samples=3)


def test_exemplars_of_a_known_series_travel_alone(node, v2):
    request = Request(v2)
    request.add(named("rw2_alone_total"), exemplars=[(TRACE, 1)])  # before its series
    request.add(named("rw2_alone_total"), [1])
    accept(node, request, samples=1, exemplars=1)
    request = Request(v2)
    request.add(named("rw2_alone_total"), exemplars=[({"trace_id": "another"}, 2)])
    accept(node, request, exemplars=1)
    span = {"start": request.now / 1000 - 60, "end": request.now / 1000 + 60}
    answer = node.get("/api/v1/query_exemplars", {"query": "rw2_alone_total", **span})
    assert len(answer.json["data"][0]["exemplars"]) == 2


@pytest.mark.parametrize("points", [SAMPLES, HISTOGRAMS])
def test_many_points(node, v2, points):
    request = Request(v2)
    for i in range(50):
        data = {"values": [i]} if points == SAMPLES else {"histograms": [native(v2)]}
        request.add(named(f"rw2_fifty_{points}", i=str(i)), **data)
    accept(node, request, **{points: 50})


def test_special_characters_combined(node, v2):
    request = Request(v2)
    request.add(named("rw2_special", **{"größe": "日本語 \"quoted\" \\ \n 🔥"}), [1])
    accept(node, request, samples=1)
    found = node.query('rw2_special', request.now / 1000)
    assert found[0]["metric"]["größe"] == "日本語 \"quoted\" \\ \n 🔥"


def test_custom_buckets_histogram_with_exemplar(node, v2):
    request = Request(v2)
    request.add(named("rw2_custom"), histograms=[custom(v2)], exemplars=[(TRACE, 0.7)])
    accept(node, request, histograms=1, exemplars=1)


@pytest.mark.parametrize("case, labels", [
    ("basic_exemplar", TRACE),
    ("exemplar_with_span_id", {**TRACE, "span_id": "fedcba98"}),
    ("exemplar_without_trace_id", {"request": "7"}),
    ("exemplar_with_multiple_labels", {**TRACE, "a": "b", "c": "d"}),
    ("exemplar_no_labels", {}),
    ("exemplar_with_special_chars", {"path": "/a?b=\"c\"&\\"}),
    ("exemplar_with_unicode", {"ort": "Köln 日本"}),
])
def test_exemplars(node, v2, case, labels):
    request = Request(v2)
    request.add(named("rw2_exemplar_total", case=case), [1], exemplars=[(labels, 1)])
    accept(node, request, samples=1, exemplars=1)


@pytest.mark.parametrize("value", [0.0, -1.5, 1e300, 5e-324, float("nan"), float("inf"), float("-inf")])
def test_exemplar_special_values(node, v2, value):
    request = Request(v2)
    request.add(named("rw2_exemplar_value_total", v=str(value)), [1], exemplars=[(TRACE, value)])
    accept(node, request, samples=1, exemplars=1)


def test_multiple_exemplars_and_their_timestamps(node, v2):
    request = Request(v2)
    request.add(named("rw2_three_total"), [1], exemplars=[({"n": str(i)}, i) for i in range(3)])
    accept(node, request, samples=1, exemplars=3)
    request = Request(v2)
    for minutes in (60, 1, 0):
        request.add(named("rw2_times_total"), [1], exemplars=[(TRACE, 1)], at=-minutes * 60000)
    accept(node, request, samples=3, exemplars=3)


@pytest.mark.parametrize("labels, good", [({"a": "b"}, False), ({"__name__": "", "a": "b"}, False), (named("rw2_ok"), True)])
def test_exemplar_and_metadata_validation(node, v2, labels, good):
    for extra in ({"exemplars": [(TRACE, 1)]}, {"metadata": (COUNTER, "Help.", "")}):
        request = Request(v2)
        request.add({**labels, "with": next(iter(extra))}, [1], **extra)
        if good:
            accept(node, request, samples=1, exemplars=len(extra.get("exemplars", ())))
        else:
            refuse(node, request, "metric name")


@pytest.mark.parametrize("case, changes", [
    ("basic_histogram", {}),
    ("positive_only_histogram", {"negative_deltas": [], "count_int": 7}),
    ("negative_only_histogram", {"positive_deltas": [], "count_int": 5}),
    ("minimal_histogram", {"positive_deltas": [], "negative_deltas": [], "zero_count_int": 1, "count_int": 1}),
    ("empty_histogram", {"positive_deltas": [], "negative_deltas": [], "zero_count_int": 0, "count_int": 0, "sum": 0}),
])
def test_histograms(node, v2, case, changes):
    request = Request(v2)
    request.add(named("rw2_histogram", case=case), histograms=[native(v2, **changes)] * 2)
    accept(node, request, histograms=2)


def test_bad_count_histogram(node, v2):
    request = Request(v2)
    request.add(named("rw2_bad_histogram"), histograms=[native(v2, count_int=3)])
    request.add(named("rw2_good_histogram"), histograms=[native(v2)])
    refuse(node, request, "observations found in buckets", histograms=1)


@pytest.mark.parametrize("kind, help_text, unit", [
    (COUNTER, "Requests.", "requests"), (GAUGE, "Degrees.", "celsius"), (HISTOGRAM, "Times.", "seconds"), (GAUGE, "", ""),
    (COUNTER, "Line\nline \"quoted\" ü.", ""), (0, "Unspecified.", ""), (INFO, "Build.", ""), (STATESET, "States.", ""),
    (SUMMARY, "Sizes.", "bytes"), (GAUGEHISTOGRAM, "Queues.", ""),
])
def test_metadata(node, v2, kind, help_text, unit):
    names = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"]
    family = f"rw2_family_{kind}_{len(help_text)}"
    request = Request(v2)
    suffixes = {HISTOGRAM: ["_bucket", "_count", "_sum"], SUMMARY: ["", "_count", "_sum"]}.get(kind, [""])
    for suffix in suffixes:
        request.add(named(family + suffix, a="b"), [1], metadata=(kind, help_text, unit))
    accept(node, request, samples=len(suffixes))
    found = node.get("/api/v1/metadata", {"metric": family}).json["data"]
    assert found == {family: [{"type": names[kind], "help": help_text, "unit": unit}]}


def test_references_that_do_not_hold(node, v2):
    request = Request(v2)
    request.add(named("rw2_good"), [1])
    request.add(named("rw2_odd"), [1]).labels_refs.append(1)
    request.add(named("rw2_wild"), [1]).labels_refs.extend([1, 4000])
    refuse(node, request, "odd number of label references", samples=1)
    request = Request(v2)
    row = request.add(named("rw2_good"), [2], exemplars=[(TRACE, 1)], at=10)
    row.exemplars[0].labels_refs.append(1)
    refuse(node, request, "exemplar: odd number", samples=1)


def test_partial_write_tells_what_was_written(node, v2):
    request = Request(v2)
    request.add(named("rw2_conflict"), [1, 2, 3])
    accept(node, request, samples=3)
    for i, sample in enumerate(request.message.timeseries[0].samples):
        sample.value = 1 if i == 0 else 10
    request.add(named("rw2_beside"), [1], exemplars=[(TRACE, 1)])
    refuse(node, request, "duplicate sample for timestamp", samples=2, exemplars=1)


def test_stale_marker_is_bit_exact(node, v2):
    request = Request(v2)
    request.add(named("rw2_stale"), [1, struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]])
    accept(node, request, samples=2)
    assert node.query("rw2_stale", request.now / 1000 + 1) == []
    assert len(node.query("rw2_stale[1m]", request.now / 1000 + 1)[0]["values"]) == 1
