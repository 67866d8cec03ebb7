"""What random queries are asked of: random series with all that is awkward, and the recorded stream, described."""

import itertools
import math
import random
from dataclasses import dataclass, field

INF = float("inf")


@dataclass(frozen=True)
class Metric:
    name: str
    labels: dict  # name -> values
    series: int
    kind: str  # gauge, counter, bucket
    interval: int
    grain: float = 0.0
    bound: float = INF
    nonneg: bool = False
    minus_zero: bool = False
    special: bool = False  # holds NaN or infinities
    distinct: bool = False
    tiny: bool = False
    dates: bool = False  # values that dates are made of
    # Before this time no window of rate and increase may begin. Where a window begins before the first sample, and
    # that one is between half and 1.1 times the mean increase, 2.42 extrapolates further than 3.x, which applies the
    # limit of half an interval before the limit at zero.
    rate_from: int = 0


@dataclass(frozen=True)
class Dataset:
    name: str
    start: int
    end: int
    metrics: tuple
    fractions: frozenset  # milliseconds within the second at which samples lie
    values: dict = field(default_factory=dict)  # label -> values over all metrics


class Synthetic:
    """Random series with all that is awkward: gaps, resets, stale markers, births, NaN, infinities, -0, subnormals,
    irregular intervals, buckets out of order. Sample times end in .300 to .330 s."""

    START = 1_700_000_000_000
    MINUTES = 40

    def __init__(self, seed, stale_nan):
        self.rng = random.Random(f"data {seed}")
        self.stale = stale_nan
        self.series = []
        self.metrics = []
        jobs = ["api", "db", "größe"]
        self.instances = [f"host-{i}:{9090 + i % 2}" for i in range(5)]
        pairs = [(j, i) for j in jobs for i in self.instances if self.rng.random() < 0.7] or [("api", "host-0:9090")]
        self.up_and_info(pairs)
        self.gauges(pairs)
        self.counters(pairs)
        self.histograms(pairs)

    def times(self, interval=15_000, jitter=0.0):
        t = self.START + self.rng.randrange(0, interval // 1000) * 1000 + 300
        out = []
        while t < self.START + self.MINUTES * 60_000:
            step = interval
            if jitter:
                step = int(interval * self.rng.uniform(1 - jitter, 1 + jitter)) // 1000 * 1000 or 1000
            out.append(t - t % 1000 + 300 + self.rng.randrange(30))
            t += step
        return out

    def add(self, metric, rows, value_of, interval=15_000, jitter=0.0, churn=0.25, gaps=0.15, shared=None, **facts):
        """value_of(labels) -> a function from the index of a sample (and whether a gap came before) to its value."""
        labels = {}
        for row in rows:
            for name, value in row.items():
                labels.setdefault(name, set()).add(value)
            key = tuple(sorted((k, v) for k, v in row.items() if k != "le"))
            if shared is not None and key in shared:
                times, holes = shared[key]
            else:
                times, holes = self.lifetime(self.times(interval, jitter), churn, gaps)
                if shared is not None:
                    shared[key] = (times, holes)
            value = value_of(row)
            samples = []
            for n, t in enumerate(times):
                if t in holes:
                    if holes[t]:
                        samples.append((t, self.stale))
                    continue
                samples.append((t, value(n, bool(samples) and n > 0 and times[n - 1] in holes)))
            self.series.append(({"__name__": metric, **row}, samples))
        self.metrics.append(Metric(metric, {k: sorted(v) for k, v in labels.items()}, len(rows), interval=interval,
                                   **facts))

    def lifetime(self, times, churn, gaps):
        """Times of a series, and those of them that are missing: True where a stale marker stands instead."""
        rng = self.rng
        if rng.random() < churn:
            cut = rng.randrange(len(times))
            times = times[cut:] if rng.random() < 0.5 else times[:cut + 1]
        holes = {}
        while rng.random() < gaps * 3 and len(times) > 12:
            at, length = rng.randrange(1, len(times) - 1), rng.choice([1, 1, 2, 3, 8, 30])
            for n, t in enumerate(times[at:at + length]):
                holes[t] = n == 0 and rng.random() < 0.6
        if rng.random() < 0.15 and len(times) > 3:
            holes[times[-1]] = True
        return times, holes

    def rows(self, pairs, **more):
        for job, instance in pairs:
            for values in itertools.product(*more.values()):
                yield {"job": job, "instance": instance, **dict(zip(more, values))}

    def up_and_info(self, pairs):
        rng = self.rng
        self.add("up", list(self.rows(pairs)), lambda row: lambda n, gap: float(rng.random() < 0.9),
                 kind="gauge", grain=1.0, bound=1.0, nonneg=True)
        rows = [{**row, "version": rng.choice(["1.0", "1.1", "2.0"]), "revision": f"r{rng.randrange(3)}"}
                for row in self.rows(pairs)]
        self.add("build_info", rows, lambda row: lambda n, gap: 1.0, churn=0.1,
                 kind="gauge", grain=1.0, bound=1.0, nonneg=True)

    def gauges(self, pairs):
        rng = self.rng
        zones = ["eu", "us", 'a"b\\c']

        def quarters(low, high):
            def make(row):
                state = [rng.uniform(low, high)]

                def value(n, gap):
                    state[0] = min(high, max(low, state[0] + rng.gauss(0, (high - low) / 20)))
                    return math.floor(state[0] * 4) / 4 + 0.0
                return value
            return make

        self.add("temperature", [r for r in self.rows(pairs, zone=zones) if rng.random() < 0.6], quarters(-100, 100),
                 kind="gauge", grain=0.25, bound=128.0)
        self.add("load", [r for r in self.rows(pairs, zone=zones) if rng.random() < 0.6], quarters(0, 64), jitter=0.4,
                 kind="gauge", grain=0.25, bound=64.0, nonneg=True)
        self.add("flag", list(self.rows(pairs)), lambda row: (lambda v: lambda n, gap: v)(float(rng.randrange(3))),
                 kind="gauge", grain=1.0, bound=2.0, nonneg=True)

        def raw(row):
            size = 10.0 ** rng.randrange(-9, 13)
            return lambda n, gap: rng.gauss(0, 1) * size
        self.add("raw", list(self.rows(pairs)), raw, kind="gauge", distinct=True)

        def odd(row):
            usual = rng.uniform(-5, 5)
            menu = [usual, usual, usual, rng.gauss(0, 3), float("nan"), INF, -INF, 0.0, -0.0, 1.5e308, -1.5e308, 1e-7,
                    1e21, 123456789.123, 0.1, 1e20]
            return lambda n, gap: rng.choice(menu) if rng.random() < 0.5 else usual
        self.add("odd", [{"job": j, "instance": i, "kind": k} for j, i in pairs[:6] for k in "ab"], odd, jitter=0.3,
                 kind="gauge", minus_zero=True, special=True)
        self.add("tiny", [{"job": j, "instance": i} for j, i in pairs[:4]],
                 lambda row: lambda n, gap: rng.choice([5e-324, -5e-324, 2.2e-308, 1e-310, 1.0]),
                 kind="gauge", special=True, tiny=True)
        self.add("sparse", [{"job": j, "instance": i} for j, i in pairs[:6]], quarters(-50, 50), interval=150_000,
                 jitter=0.95, churn=0.4, kind="gauge", grain=0.25, bound=64.0)
        self.add("last_seen_seconds", [{"job": j, "instance": i} for j, i in pairs[:5]],
                 lambda row: lambda n, gap: float(rng.randrange(-10 ** 9, 4 * 10 ** 9)),
                 kind="gauge", grain=1.0, bound=2.0 ** 32, dates=True)

    def counter(self, grain, size, reset_chance, leap=False):
        """Increments are below 4 * size. The first value after a gap is 0 or more than any sum of increments in a
        window divided by its samples: see Metric.rate_from. At irregular intervals any sample may look as if it came
        after a gap: there the first increment after a reset leaps to such a value."""
        rng = self.rng
        large = 1000.0 * size

        def make(row):
            total = [rng.choice([0.0, large])]
            idle = rng.random() < 0.15

            def value(n, gap):
                if n and (rng.random() < reset_chance or (gap and (total[0] < large or rng.random() < 0.4))):
                    total[0] = 0.0
                elif n and not (idle and rng.random() < 0.9):
                    step = rng.uniform(0, 4 * size) if rng.random() < 0.8 else 0.0
                    total[0] += math.floor(step / grain) * grain if grain else step
                    total[0] += large if leap and total[0] < large else 0.0
                return total[0]
            return value
        return make

    def counters(self, pairs):
        rng = self.rng
        rows = [r for r in self.rows(pairs, code=["200", "404", "500"], method=["get", "post"]) if rng.random() < 0.5]
        self.add("requests_total", rows, self.counter(1.0, 8.0, 0.01), kind="counter", grain=1.0, bound=2.0 ** 20,
                 nonneg=True)
        self.add("bytes_total", list(self.rows(pairs)), self.counter(0.0, 1e4, 0.01, leap=True), jitter=0.3,
                 kind="counter", nonneg=True)
        self.add("restarts_total", list(self.rows(pairs[:6])), self.counter(1.0, 2.0, 0.1), kind="counter", grain=1.0,
                 bound=2.0 ** 16, nonneg=True)

    def histograms(self, pairs):
        rng = self.rng
        shared, state = {}, {}
        bounds = ["0.05", "0.1", "0.5", "1", "2.5", "10", "+Inf"]
        base = [r for r in self.rows(pairs[:7], code=["200", "500"]) if rng.random() < 0.8] or [
            {"job": "api", "instance": self.instances[0], "code": "200"}]

        def observed(row, n, gap):
            """The cumulative counts of all buckets of a row at a sample. They move on at samples that are there only:
            no reset hides in a gap, so that what a counter starts from is 0 or large."""
            key = tuple(sorted((k, v) for k, v in row.items() if k != "le"))
            history = state.setdefault(key, {})
            if n not in history:
                totals = history[max(history)] if history else [rng.choice([0.0, 10_000.0])] * len(bounds)
                if history and (rng.random() < 0.008 or (gap and totals[0] < 10_000.0)):
                    totals = [0.0] * len(bounds)
                elif history:
                    more = list(itertools.accumulate(float(rng.choice([0, 0, 1, 1, 2, 5])) for _ in bounds))
                    totals = [t + a for t, a in zip(totals, more)]
                history[n] = totals
            return history[n]

        def bucket(row):
            return lambda n, gap: observed(row, n, gap)[bounds.index(row["le"])]

        facts = dict(gaps=0.1, churn=0.2, shared=shared, nonneg=True)
        self.add("latency_seconds_bucket", [{**r, "le": b} for r in base for b in bounds], bucket, kind="bucket",
                 grain=1.0, bound=2.0 ** 20, **facts)
        self.add("latency_seconds_count", base, lambda row: lambda n, gap: observed(row, n, gap)[-1], kind="counter",
                 grain=1.0, bound=2.0 ** 20, **facts)
        self.add("latency_seconds_sum", base, lambda row: lambda n, gap: observed(row, n, gap)[-1] * 0.375,
                 kind="counter", grain=0.125, bound=2.0 ** 19, **facts)
        broken = ["-1", "0.1", "1", "1.0", "5e0", "10", "+Inf", "what"]
        rows = [{"job": j, "instance": i, "le": b} for j, i in pairs[:4] for b in broken
                if rng.random() < (0.7 if b == "+Inf" else 0.9)]
        self.add("broken_bucket", rows, lambda row: lambda n, gap: float(rng.randrange(0, 400)), churn=0.0, gaps=0.05,
                 kind="bucket", grain=1.0, bound=512.0, nonneg=True, rate_from=1 << 62)

    def dataset(self):
        start, end = self.START, self.START + self.MINUTES * 60_000
        return make_dataset("synthetic", start, end, self.metrics, frozenset(range(300, 331)))

    def in_order(self, window=60_000):
        """The series cut into pieces of a minute, oldest first: a receiver takes what is in order."""
        t = self.START
        while t < self.START + (self.MINUTES + 1) * 60_000:
            piece = []
            for labels, samples in self.series:
                part = [s for s in samples if t <= s[0] < t + window]
                if part:
                    piece.append((labels, part))
            if piece:
                yield piece
            t += window


def make_dataset(name, start, end, metrics, fractions):
    values = {}
    for metric in metrics:
        for label, found in metric.labels.items():
            values.setdefault(label, set()).update(found)
    return Dataset(name, start, end, tuple(metrics), fractions, {k: sorted(v) for k, v in sorted(values.items())})


RECORDED_START, RECORDED_END = 1795208064038, 1795209910147
RECORDED_NEGATIVE = {"node_network_speed_bytes", "prometheus_tsdb_clean_start", "etcd_debugging_mvcc_compact_revision"}


def recorded(series):
    """The recorded stream, described by its series (label dicts without a value)."""
    by_name = {}
    for labels in series:
        by_name.setdefault(labels["__name__"], []).append(labels)
    metrics = []
    for name, rows in sorted(by_name.items()):
        labels = {}
        for row in rows:
            for label, value in row.items():
                if label != "__name__":
                    labels.setdefault(label, set()).add(value)
        counts = name.endswith(("_bucket", "_count")) or name == "up"
        kind = "bucket" if name.endswith("_bucket") else (
            "counter" if name.endswith(("_total", "_count", "_sum")) else "gauge")
        # Some series of these begin after the stream does, from a value as small as one step: see Metric.rate_from.
        late = "http_re" in name or name.startswith(("prometheus_target_interval", "etcd_server_client_requests"))
        metrics.append(Metric(
            name, {k: sorted(v) for k, v in labels.items()}, len(rows), kind=kind, interval=5_000,
            grain=1.0 if counts else 0.0, bound=2.0 ** 26 if counts else INF,
            nonneg=name not in RECORDED_NEGATIVE, special=name.endswith("duration_seconds") or "sync_length" in name,
            rate_from=1 << 62 if late else RECORDED_START + 10_000))
    return make_dataset("recorded", RECORDED_START, RECORDED_END, metrics,
                        frozenset({38, 147, 159, 192, 196, 686, 744, 831}))
