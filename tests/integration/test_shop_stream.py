"""The recorded shop: native histograms, exemplars, odd values, UTF-8 names, pods that come and go."""

import json

import pytest

import harness
from test_recorded_stream import needs_data, replay, replay_v2, requests_of

pytestmark = needs_data

END = 1795249036
RELATIVE = 1e-12


@pytest.fixture(scope="module", params=["1.0", "2.0"])
def shop(request, tmp_path_factory, remote_pb2):
    cluster = harness.Cluster(
        tmp_path_factory.mktemp("shop"), querier_flags=["--query.features=promql-experimental-functions"]
    ).start()
    try:
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        if request.param == "1.0":
            assert replay(writer, "shop-1.0.bin.zst") == 314
        else:
            written = {"Samples": 503692, "Histograms": 15127, "Exemplars": 69181}
            assert replay_v2(writer, "shop-2.0.bin.zst") == (294, written)
        yield cluster
        cluster.stop()
    finally:
        cluster.kill()


def test_everything_is_stored(shop):
    for node in shop.ingesters:
        assert node.metric("narthex_ingester_samples_total", kind="float") == 503692
        assert node.metric("narthex_ingester_samples_total", kind="histogram") == 15127
    series = shop.querier.query('count(last_over_time({__name__!=""}[21m]))', END)
    assert float(series[0]["value"][1]) == 2238


def test_odd_values_are_bit_exact(shop):
    values = shop.querier.query("shop_odd_value[21m]", END)
    texts = {value for series in values for _, value in series["values"]}
    # A sender of 1.0 leaves a value of zero out, whatever its sign: -0 cannot travel.
    assert {"NaN", "+Inf", "-Inf", "0", "1.7e+308"} <= texts
    assert any(text.endswith("e-322") for text in texts)


def test_utf8_names_work(shop):
    assert shop.querier.query('{"shop.pod_info"}', END - 60)
    values = shop.querier.get("/api/v1/labels").json["data"]
    assert "größe" in values


# The sum over two metrics whose histograms differ in schema and zero threshold depends on the order of the series: how far
# the zero bucket has grown when the next one is added. Theirs is the order of arrival, ours that of the labels. See
# test_sums_in_the_order_of_arrival_agree.
ORDER_OF_SUMMATION = {
    '-(sum by (le) (rate({__name__=~"shop_(payment_amount_euro|request_duration_seconds)"}[77s] @ end())))',
    'sum by (le) ((irate({__name__=~"shop_(payment_amount_euro|request_duration_seconds)"}[10m])) / 1e3)',
}


def test_recorded_answers_agree(shop):
    recorded = json.loads((harness.TESTDATA / "shop-answers.json").read_text())
    end, span, step = recorded["end"], recorded["span"], recorded["step"]
    wrong = []
    for entry in recorded["asked"]:
        if entry["kind"] == "instant":
            answer = shop.querier.post("/api/v1/query", {"query": entry["query"], "time": end})
        else:
            answer = shop.querier.post(
                "/api/v1/query_range",
                {"query": entry["query"], "start": end - span, "end": end, "step": step},
            )
        want = entry["result"]
        if answer.status != 200:
            wrong.append(f"{entry['query']}: {answer.status} {answer.text[:200]}")
            continue
        got = answer.json["data"]
        if entry["query"] in ORDER_OF_SUMMATION:
            continue
        for field in ("warnings", "infos"):
            if sorted(entry[field]) != sorted(answer.json.get(field, [])):
                wrong.append(f"{field} of {entry['query']}: {answer.json.get(field)}")
        diff = (
            f"type {got['resultType']}"
            if got["resultType"] != want["resultType"]
            else harness.difference(want["resultType"], want["result"], got["result"], relative=RELATIVE)
        )
        if diff:
            wrong.append(f"{entry['kind']} {entry['query']}: {diff}")
    assert not wrong, f"{len(wrong)} of {len(recorded['asked'])} answers differ:\n" + "\n".join(wrong[:40])


def by_arrival(pb, names):
    """The series of these metrics with a label that sorts before all others and counts them as they first come."""
    import snappy

    first = {}
    for body in requests_of("shop-1.0.bin.zst"):
        request, out = pb.WriteRequest(), pb.WriteRequest()
        request.ParseFromString(snappy.uncompress(body))
        for series in request.timeseries:
            labels = tuple((label.name, label.value) for label in series.labels)
            if dict(labels)["__name__"] not in names or series.exemplars:
                continue
            row = out.timeseries.add()
            row.labels.add(name="A", value=f"{first.setdefault(labels, len(first)):06}")
            row.labels.MergeFrom(series.labels)
            row.samples.MergeFrom(series.samples)
            row.histograms.MergeFrom(series.histograms)
        if out.timeseries:
            yield snappy.compress(out.SerializeToString())


def test_sums_in_the_order_of_arrival_agree(single, remote_pb2):
    """Prometheus adds the series of its head in the order of their creation. In that order our sums are its sums."""
    writer = harness.Writer(remote_pb2, single.url)
    for body in by_arrival(remote_pb2, ("shop_payment_amount_euro", "shop_request_duration_seconds")):
        assert writer.send_raw(body).status == 204
    recorded = json.loads((harness.TESTDATA / "shop-answers.json").read_text())
    entries = [entry for entry in recorded["asked"] if entry["query"] in ORDER_OF_SUMMATION]
    assert len(entries) == len(ORDER_OF_SUMMATION)
    for entry in entries:
        assert entry["kind"] == "instant"
        got = single.query(entry["query"], recorded["end"])
        assert harness.difference("vector", entry["result"]["result"], got, relative=RELATIVE) is None
