"""A load whose values are known, so that nothing missing and nothing extra can hide, and a reader that checks every answer
while it runs."""

import threading
import time

import harness

SERIES = 400
METRIC = "load_total"
ROUND_S = 0.04  # at most 25 rounds a second: a round is a second of sample time, and that may not run ahead of the clock
READ_ROUNDS = 300


def labels_of(i):
    return {"__name__": METRIC, "instance": f"host-{i % 20}:9100", "job": "load", "shard": str(i)}


def value_of(i, k):
    return float(i * 1000 + k)


def sum_of(series, first, end):
    """Over all series, of the rounds from first up to end."""
    rounds = end - first
    return float(series * (series - 1) // 2 * 1000 * rounds + series * (first + end - 1) * rounds // 2)


class Load:
    """Writes one sample a series and round until told to stop; keeps what was acknowledged. A round that gets
    503 is sent again, as Prometheus does."""

    def __init__(self, writer, start_ms, series=SERIES, step_ms=1000, round_s=ROUND_S):
        self.writer = writer
        self.start_ms = start_ms
        self.series = series
        self.step_ms = step_ms
        self.round_s = round_s
        self.acked = 0
        self.failures = []
        self.latencies = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def round_time(self, k):
        return self.start_ms + k * self.step_ms

    def _send(self, k):
        series = [(labels_of(i), [(self.round_time(k), value_of(i, k))]) for i in range(self.series)]
        body = self.writer.encode(series)
        begin = time.monotonic()
        answer = self.writer.send_raw(body)
        self.latencies.append(time.monotonic() - begin)
        return answer

    def _run(self):
        while not self._stop.is_set():
            begin = time.monotonic()
            try:
                answer = self._send(self.acked)
                status, text = answer.status, answer.text
            except OSError as error:
                status, text = None, str(error)
            if status == 204:
                self.acked += 1
                self._stop.wait(max(0.0, begin + self.round_s - time.monotonic()))
            else:
                self.failures.append((status, text))
                self._stop.wait(0.1)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        self._thread.join(90)
        assert not self._thread.is_alive()

    def wait_rounds(self, more, timeout_s=60):
        goal = self.acked + more
        harness.wait_until(lambda: self.acked >= goal, timeout_s, f"{more} more rounds")


class Reader:
    """Asks for count and sum of what was acknowledged, again and again. Whatever is not an exact answer is a failure."""

    def __init__(self, querier, load, pause_s=0.2):
        self.querier = querier
        self.load = load
        self.pause_s = pause_s
        self.answers = 0
        self.failures = []
        self.latencies = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _ask(self, function, first, end):
        load = self.load
        expr = f"sum({function}({METRIC}[{(end - first) * load.step_ms}ms]))"
        begin = time.monotonic()
        answer = self.querier.post("/api/v1/query", {"query": expr, "time": load.round_time(end - 1) / 1000})
        self.latencies.append(time.monotonic() - begin)
        if answer.status != 200 or answer.json.get("warnings"):
            return f"{answer.status} {answer.text}"
        expected = load.series * (end - first) if function == "count_over_time" else sum_of(load.series, first, end)
        result = answer.json["data"]["result"]
        if len(result) == 1 and float(result[0]["value"][1]) == expected:
            return None
        return f"{expr} of rounds {first} to {end}: {result}, expected {expected}"

    def _run(self):
        while not self._stop.is_set():
            end = self.load.acked
            first = max(0, end - READ_ROUNDS)
            for function in ("count_over_time", "sum_over_time") if end > 0 else ():
                try:
                    wrong = self._ask(function, first, end)
                except OSError as error:
                    wrong = str(error)
                self.answers += 1
                if wrong:
                    self.failures.append(wrong)
            self._stop.wait(self.pause_s)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        self._thread.join(90)
        assert not self._thread.is_alive()


def check_complete(querier, load, partial=0):
    """The samples of every series are those that were acknowledged. A round that was in flight when the answer was lost
    may be there or not: at most `partial` rounds beyond. All from one answer: whether such a round is seen may depend on
    which replicas answer first."""
    at = load.round_time(load.acked + 5) / 1000
    rows = querier.query(f"{METRIC}[{(load.acked + 10) * load.step_ms}ms]", at)
    assert len(rows) == load.series
    for row in rows:
        i, values = int(row["metric"]["shard"]), [float(value) for _, value in row["values"]]
        n = len(values)
        assert load.acked <= n <= load.acked + partial, f"series {i}: {n} samples of {load.acked}"
        assert values == [value_of(i, k) for k in range(n)], f"series {i}"
