"""Random queries, answered by Narthex and by the packaged Prometheus 2.42: the answers are the same, or it is written
here why not.

    python3 tests/integration/test_differential.py --seed 1 --count 20000

runs as many as it is told, half on random data and half on the recorded stream, and shows each difference in its
smallest form. The same seed asks the same queries.
"""

import argparse
import concurrent.futures
import http.client
import json
import math
import re
import sys
import tempfile
import threading
import time
import urllib.parse
from dataclasses import replace
from pathlib import Path

import pytest

import harness
import promql_data
import promql_generator as pg
import promql_tree as pt
from promql_explain import explanation, rows

RELATIVE = 1e-12
CONFIG = "global: {scrape_interval: 1m, evaluation_interval: 1m}\n"


class Server:
    """A query API over connections that stay open, one per thread."""

    def __init__(self, url, version):
        self.address = urllib.parse.urlsplit(url).netloc
        self.version = version
        self.local = threading.local()

    def ask(self, path, params):
        body = urllib.parse.urlencode(params).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        for attempt in (0, 1):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = self.local.connection = http.client.HTTPConnection(self.address, timeout=120)
            try:
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                self.local.connection = None
                if attempt:
                    raise
        # Numbers stay text: the times are compared as written.
        return Result(answer.status, json.loads(text, parse_float=str, parse_int=str))

    def run(self, query, text=None):
        params = {"query": text if text is not None else query.text(self.version)}
        if query.kind == "instant":
            return self.ask("/api/v1/query", {**params, "time": pt.seconds(query.start)})
        return self.ask("/api/v1/query_range", {**params, "start": pt.seconds(query.start),
                                                "end": pt.seconds(query.end), "step": pt.seconds(query.step)})


class Result:
    def __init__(self, status, body):
        self.status = status
        self.failed = body["status"] != "success"
        self.error_type = body.get("errorType")
        self.error = body.get("error", "")
        data = body.get("data") or {}
        self.type = data.get("resultType")
        self.value = data.get("result")

    @property
    def empty(self):
        return self.failed or self.value == []

    def short(self):
        text = f"{self.type} {json.dumps(self.value)}"
        if self.failed:
            text = f"{self.status} {self.error_type}: {self.error}"
        return text if len(text) < 300 else text[:300] + f"... ({len(text)})"


# --- comparing -------------------------------------------------------------------------------------------------


def error_form(text):
    """An error without what the order of series decides: which duplicates are named. 3.x names the parameter
    that does not parse."""
    text = text.removeprefix('invalid parameter "query": ')
    text = re.sub(r"found duplicate series for the match group \{.*\} on the (left|right) hand-side of the operation: "
                  r"\[.*\];", r"found duplicate series for the match group on the \1:", text)
    return text


class Comparison:
    """How near two answers to one query must be."""

    def __init__(self, query, reference):
        self.query = query
        self.node = query.node
        self.reference = reference
        self.sizes = None

    def size(self, key, at, value):
        """The size of what was added up to the value; None where it is not known."""
        scale = self.node.scale
        if scale is None:
            return None
        if not isinstance(scale, pt.Node):
            return scale(value)
        if self.sizes is None:
            answer = self.reference.run(self.query, scale.text(2))
            self.sizes = {} if answer.failed else {k: dict(map(tuple, v)) for k, v in rows(answer).items()}
        text = self.sizes.get(key, {}).get(at)
        return None if text is None else float(text)

    def same(self, key, at, left, right):
        if left == right:
            return True
        if self.node.near == pt.EXACT:
            return False
        a, b = float(left), float(right)
        if a == b or (a != a and b != b):
            return True
        if abs(a - b) <= RELATIVE * max(abs(a), abs(b)) + 1e-300 and not math.isinf(a) and not math.isinf(b):
            return True
        if self.node.near != pt.LOOSE:
            return False
        size = self.size(key, at, a)
        if size is None:
            return False
        if self.node.op == "stddev":
            a, b = a * a, b * b
        if not (math.isfinite(a) and math.isfinite(b)):
            # The order of the series decides whether a sum overflows on its way. The squares of a variance do in any
            # order, and then the order decides between infinity and NaN.
            if self.node.op == "sum":
                return 1e300 < size < math.inf
            overflow = self.node.op in ("stddev", "stdvar") and size == math.inf
            return overflow and not (math.isfinite(a) or math.isfinite(b))
        return abs(a - b) <= RELATIVE * size

    def difference(self, want, got):
        """None, or a line that says how the answers differ."""
        if want.failed != got.failed:
            return "one fails"
        if want.failed:
            if (want.status, want.error_type) != (got.status, got.error_type):
                return "another status"
            return None if error_form(want.error) == error_form(got.error) else "another error"
        if want.type != got.type:
            return f"types {want.type} and {got.type}"
        if want.type == "string":
            return None if want.value == got.value else "another string"
        if want.type == "scalar":
            same = want.value[0] == got.value[0] and self.same("{}", want.value[0], want.value[1], got.value[1])
            return None if same else "another scalar"
        return self.series_difference(want, got)

    def series_difference(self, want, got):
        left, right = rows(want), rows(got)
        if left.keys() != right.keys():
            missing, extra = sorted(left.keys() - right.keys()), sorted(right.keys() - left.keys())
            return None if self.tied(left, right) else f"series: missing {missing[:2]}, extra {extra[:2]}"
        for key, points in left.items():
            others = right[key]
            if [p[0] for p in points] != [p[0] for p in others]:
                return None if self.tied(left, right) else f"{key}: times differ"
            for (at, a), (_, b) in zip(points, others):
                if not self.same(key, at, a, b):
                    return f"{key} at {at}: {a} and {b}"
        return self.order_difference(want, got)

    def tied(self, left, right):
        """topk and bottomk keep any of several equal values: which, is not defined. What the answers do not share must
        be of the same values at each time."""
        if self.node.op != "topk":
            return False

        def values(rows_of, others):
            out = {}
            for key, points in rows_of.items():
                there = {at: "0" if value == "-0" else value for at, value in others.get(key, ())}
                for at, value in points:
                    value = "0" if value == "-0" else value
                    if at not in there:
                        out.setdefault(at, []).append(value)
                    elif there[at] != value:
                        out.setdefault(at, []).append(f"{key}={value}")
            return {at: sorted(found) for at, found in out.items()}

        return values(left, right) == values(right, left)

    def order_difference(self, want, got):
        """sort orders the values of an instant query; equal ones may come in any order."""
        if self.node.op != "sort" or want.type != "vector":
            return None
        ordered = [[row["value"][1] for row in answer.value] for answer in (want, got)]
        near = replace(self.node, near=max(self.node.near, pt.CLOSE))
        same = all(Comparison(self.query.with_node(near), self.reference).same("", "", x, y) for x, y in zip(*ordered))
        return None if same else "another order"


# --- running -----------------------------------------------------------------------------------------------------


class Peers:
    """Both servers with one data set."""

    def __init__(self, dataset, narthex, prometheus, lookback):
        self.dataset = dataset
        self.lookback = lookback
        self.narthex = Server(narthex.url, 3)
        self.prometheus = Server(prometheus.url, 2)

    def check(self, query):
        """(outcome, detail): agreed, explained or different; and whether the answer held anything."""
        want, got = self.prometheus.run(query), self.narthex.run(query)
        line = Comparison(query, self.prometheus).difference(want, got)
        if line is None:
            return "agreed", "failed" if want.failed else ("empty" if want.empty else "full")
        reason = explanation(query, want, got, self.prometheus, Comparison(query, self.prometheus).difference)
        if reason:
            return "explained", reason
        return "different", (line, want, got)

    def shrink(self, query):
        """The smallest part of the query that still differs."""
        best = query
        for node in sorted(query.node.nodes(), key=lambda n: len(list(n.nodes()))):
            if node.type == "matrix" and query.kind == "range":
                continue
            if len(list(node.nodes())) >= len(list(best.node.nodes())):
                break
            if self.check(query.with_node(node))[0] == "different":
                best = query.with_node(node)
                break
        if best.kind == "range":
            for at in range(best.start, best.end + 1, best.step):
                single = replace(best, kind="instant", start=at, end=at, step=0)
                if not self.time_bound(best) and self.check(single)[0] == "different":
                    return single
        return best

    @staticmethod
    def time_bound(query):
        text = query.text(3)
        return "start()" in text or "end()" in text


class Summary:
    def __init__(self):
        self.outcomes = {}
        self.differences = []

    def add(self, outcome, detail, query, peers):
        key = (outcome, detail if outcome != "different" else "")
        self.outcomes[key] = self.outcomes.get(key, 0) + 1
        if outcome == "different":
            self.differences.append((query, detail, peers))

    def count(self, outcome):
        return sum(n for (kind, _), n in self.outcomes.items() if kind == outcome)

    def line(self, seed):
        total = sum(self.outcomes.values())
        empty, failed = (self.outcomes.get(("agreed", kind), 0) for kind in ("empty", "failed"))
        return (f"seed {seed}: {total} queries, {self.count('agreed')} agreed ({empty} empty, {failed} errors), "
                f"{self.count('explained')} explained, {self.count('different')} different")

    def report(self, seed, limit=20):
        out = [self.line(seed)]
        for (kind, reason), n in sorted(self.outcomes.items()):
            if kind == "explained":
                out.append(f"explained {n}: {reason}")
        for query, (line, want, got), peers in self.differences[:limit]:
            out += ["", f"{peers.dataset.name}, {query.kind} {pt.seconds(query.start)}"
                        + (f" to {pt.seconds(query.end)} by {pt.seconds(query.step)}" if query.step else ""),
                    query.text(3), f"  {line}", f"  prometheus: {want.short()}", f"  narthex:    {got.short()}"]
            small = peers.shrink(query)
            if small.node is not query.node or small.kind != query.kind:
                (line, want, got) = peers.check(small)[1]
                out += [f"  smaller: {small.kind} {pt.seconds(small.start)} {small.text(3)}", f"    {line}",
                        f"    prometheus: {want.short()}", f"    narthex:    {got.short()}"]
        return "\n".join(out)


def run(peers, seed, count, threads=4, progress=None):
    """Asks `count` queries of this seed."""
    summary = Summary()
    generator = pg.Generator(peers.dataset, seed, peers.lookback)
    queries = (generator.query() for _ in range(count))
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        pending = set()
        done = 0
        for query in queries:
            pending.add(pool.submit(lambda q: (q, peers.check(q)), query))
            if len(pending) >= 4 * threads:
                finished, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    query, (outcome, detail) = future.result()
                    summary.add(outcome, detail, query, peers)
                    done += 1
                    if progress and done % 1000 == 0:
                        progress(f"{done} of {count}, {len(summary.differences)} different")
        for future in pending:
            query, (outcome, detail) = future.result()
            summary.add(outcome, detail, query, peers)
    return summary


# --- starting and loading ------------------------------------------------------------------------------------------


def lookback_of(seed):
    """The lookback of both servers, in ms."""
    return (300_000, 300_000, 60_000, 299_500, 29_500)[seed % 5]


class Bench:
    """Processes of both servers, each data set in a pair of its own."""

    def __init__(self, workdir, clustered=False):
        self.workdir = Path(workdir)
        self.clustered = clustered
        self.started = []

    def pair(self, name, lookback):
        work = self.workdir / name
        work.mkdir()
        flags = ["--query.features=promql-experimental-functions", f"--query.lookback={lookback}ms"]
        if self.clustered:
            narthex = harness.Cluster(work, querier_flags=flags)
            write, read = narthex.distributor, narthex.querier
        else:
            narthex = harness.Node("all", "narthex", harness.free_ports(1)[0], work,
                                   ["--storage.retention=10y", *flags])
            write = read = narthex
        prometheus = harness.Prometheus(work, CONFIG, flags=["--web.enable-remote-write-receiver",
                                                             f"--query.lookback-delta={lookback}ms"])
        self.started += [narthex, prometheus]
        narthex.start()
        prometheus.start()
        if not self.clustered:
            narthex.wait_ready()
        prometheus.wait_ready()
        return write, read, prometheus

    def load(self, bodies, *urls):
        """Sends the requests to each server, both at a time."""
        pb = harness.load_protos()
        bodies = list(bodies)

        def send(url):
            writer = harness.Writer(pb, url)
            for body in bodies:
                answer = writer.send_raw(body)
                assert answer.status == 204, f"{url}: {answer.status} {answer.text}"

        with concurrent.futures.ThreadPoolExecutor(len(urls)) as pool:
            list(pool.map(send, urls))

    def synthetic(self, seed):
        data = promql_data.Synthetic(seed, harness.STALE_NAN)
        write, read, prometheus = self.pair("synthetic", lookback_of(seed))
        writer = harness.Writer(harness.load_protos(), write.url)
        self.load((writer.encode(piece) for piece in data.in_order()), write.url, prometheus.url)
        return Peers(data.dataset(), read, prometheus, lookback_of(seed))

    def recorded(self, seed):
        from test_recorded_stream import requests_of

        write, read, prometheus = self.pair("recorded", lookback_of(seed))
        self.load(requests_of("remote-write-1.0.bin.zst"), write.url, prometheus.url)
        params = urllib.parse.urlencode({"match[]": '{__name__!=""}', "start": promql_data.RECORDED_START // 1000,
                                         "end": promql_data.RECORDED_END // 1000 + 1})
        series = harness.http("GET", f"{prometheus.url}/api/v1/series?{params}").json["data"]
        return Peers(promql_data.recorded(series), read, prometheus, lookback_of(seed))

    def stop(self):
        for process in self.started:
            process.kill()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    missing = harness.missing_program("prometheus")
    if missing:
        pytest.skip(f"{missing} is not installed")
    made = Bench(tmp_path_factory.mktemp("differential"))
    try:
        yield made
    finally:
        made.stop()


def agreed(peers, seed, count):
    summary = run(peers, seed, count)
    assert not summary.differences, summary.report(seed)
    assert summary.count("agreed") > 0.9 * count
    # A run of empty answers would prove nothing.
    assert summary.outcomes.get(("agreed", "full"), 0) > 0.5 * count, summary.line(seed)


def test_random_data(bench):
    agreed(bench.synthetic(1), 1, 1000)


@pytest.mark.skipif(not harness.TESTDATA.exists(), reason=f"no recorded streams: {harness.TESTDATA} is absent")
def test_recorded_data(bench):
    agreed(bench.recorded(1), 1, 600)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--data", choices=["both", "synthetic", "recorded"], default="both")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--cluster", action="store_true", help="three ingesters, a distributor and a querier")
    parser.add_argument("--show", type=int, default=20, help="differences to show")
    parser.add_argument("--print", action="store_true", dest="only_print",
                        help="print the queries on random data and end")
    options = parser.parse_args()
    if options.only_print:
        data = promql_data.Synthetic(options.seed, harness.STALE_NAN).dataset()
        generator = pg.Generator(data, options.seed, lookback_of(options.seed))
        for _ in range(options.count):
            print(generator.query().text(3))
        return 0
    names = ["synthetic", "recorded"] if options.data == "both" else [options.data]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="narthex-differential-") as workdir:
        bench = Bench(workdir, options.cluster)
        try:
            for name in names:
                peers = getattr(bench, name)(options.seed)
                began = time.monotonic()
                summary = run(peers, options.seed, options.count // len(names), options.threads,
                              lambda text: print(f"  {name}: {text}", file=sys.stderr, flush=True))
                print(f"{name}: {summary.report(options.seed, options.show)}")
                print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
                failed += len(summary.differences)
        finally:
            bench.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
