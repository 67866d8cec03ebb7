"""Pages of the protobuf exposition format, and the families that tests expose in it."""

import harness

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def pb():
    harness.load_protos()
    import metrics_pb2

    return metrics_pb2


def page(*families):
    """The families one behind the other, each behind its length."""
    from google.protobuf.internal.encoder import _VarintBytes

    return b"".join(_VarintBytes(family.ByteSize()) + family.SerializeToString() for family in families)


def family(name, kind, help_text=""):
    m = pb()
    return m.MetricFamily(name=name, type=getattr(m, kind), help=help_text)


def metric(parent, at_ms=0, **labels):
    row = parent.metric.add(timestamp_ms=at_ms)
    for name, value in labels.items():
        row.label.add(name=name, value=value)
    return row


def exemplar(message, value, at_ms=0, **labels):
    message.value = value
    for name, text in labels.items():
        message.label.add(name=name, value=text)
    if at_ms:
        message.timestamp.seconds, message.timestamp.nanos = at_ms // 1000, at_ms % 1000 * 1000000


def values(name, kind, rows, help_text=""):
    """rows: (labels, value)."""
    made = family(name, kind, help_text)
    for labels, value in rows:
        getattr(metric(made, **labels), {"UNTYPED": "untyped", "COUNTER": "counter", "GAUGE": "gauge"}[kind]).value = value
    return made


def summary(name, count, total, quantiles, **labels):
    made = family(name, "SUMMARY", "A summary.")
    row = metric(made, **labels).summary
    row.sample_count, row.sample_sum = count, total
    for q, value in quantiles:
        row.quantile.add(quantile=q, value=value)
    return made


def histogram(name, count, total, buckets=(), kind="HISTOGRAM", **labels):
    """A classic one; buckets: (upper bound, cumulative count). Returns the family and its histogram."""
    made = family(name, kind, "A histogram.")
    row = metric(made, **labels).histogram
    row.sample_count, row.sample_sum = count, total
    for bound, n in buckets:
        row.bucket.add(upper_bound=bound, cumulative_count=n)
    return made, row


def native(row, schema, positive=(), negative=(), zero=(1e-128, 0), floats=False):
    """Gives a histogram native buckets; positive, negative: (index, count) rising."""
    row.schema = schema
    row.zero_threshold = zero[0]
    if floats:
        row.zero_count_float = zero[1]
    else:
        row.zero_count = zero[1]
    for side, buckets in (("positive", positive), ("negative", negative)):
        spans, deltas, counts = (getattr(row, f"{side}_{part}") for part in ("span", "delta", "count"))
        behind, before = None, 0
        for index, count in buckets:
            if behind != index:
                spans.add(offset=index if behind is None else index - behind, length=0)
            spans[-1].length += 1
            behind = index + 1
            if floats:
                counts.append(count)
            else:
                deltas.append(count - before)
                before = count
    if not positive and not negative:
        row.positive_span.add(offset=0, length=0)  # says that it is native
    return row
