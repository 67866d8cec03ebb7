"""Requests of remote write 2.0, and what their answers tell."""

import time

import harness

SAMPLES, HISTOGRAMS, EXEMPLARS = "samples", "histograms", "exemplars"
COUNTER, GAUGE, HISTOGRAM, GAUGEHISTOGRAM, SUMMARY, INFO, STATESET = range(1, 8)
TRACE = {"trace_id": "0123456789abcdef"}


def load():
    harness.load_protos()
    import remote_write_v2_pb2

    return remote_write_v2_pb2


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
        import snappy

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
