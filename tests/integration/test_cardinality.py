"""The cardinality API on a cluster of three replicas: Mimir's answers, each series counted once."""

import json
import time

import pytest

import harness

HOSTS = 12


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, remote_pb2):
    made = harness.Cluster(tmp_path_factory.mktemp("cardinality"), flags=["--ring.partitions=64"]).start()
    try:
        writer = harness.Writer(remote_pb2, made.distributor.url)
        now = int(time.time() * 1000)
        rows = [({"__name__": "up", "job": "a" if i % 3 else "b", "host": f"h{i}"}, [(now, 1.0)]) for i in range(HOSTS)]
        rows += [({"__name__": "load", "host": f"h{i}"}, [(now, 0.5)]) for i in range(HOSTS)]
        rows += [({"__name__": "ended", "host": "h0"}, [(now - 3_000_000, 0.5)])]
        answer = writer.send(rows)
        assert answer.status == 204, answer.text
        yield made
    finally:
        made.kill()


def ask(cluster, what, **params):
    answer = cluster.querier.post(f"/api/v1/cardinality/{what}", params)
    assert answer.status == 200, answer.text
    return json.loads(answer.text)


def names(answer):
    return [(row["label_name"], row["label_values_count"]) for row in answer["cardinality"]]


def test_label_names_by_number_of_values(cluster):
    answer = ask(cluster, "label_names")
    assert set(answer) == {"label_values_count_total", "label_names_count", "cardinality"}
    assert names(answer) == [("host", 12), ("__name__", 3), ("job", 2)]
    assert (answer["label_values_count_total"], answer["label_names_count"]) == (17, 3)
    answer = ask(cluster, "label_names", limit=1)
    assert names(answer) == [("host", 12)] and answer["label_names_count"] == 3
    assert names(ask(cluster, "label_names", selector='{job="b"}')) == [("host", 4), ("__name__", 1), ("job", 1)]
    assert names(ask(cluster, "label_names", count_method="active")) == [("host", 12), ("__name__", 2), ("job", 2)]
    assert names(ask(cluster, "label_names", selector='{job="none"}')) == []
    assert names(ask(cluster, "label_names", limit=0)) == []


def test_label_values_by_number_of_series(cluster):
    answer = ask(cluster, "label_values", **{"label_names[]": ["__name__", "job", "absent"]})
    assert answer["series_count_total"] == 25
    assert answer["labels"] == [
        {"label_name": "__name__", "label_values_count": 3, "series_count": 25, "cardinality": [
            {"label_value": "load", "series_count": 12}, {"label_value": "up", "series_count": 12},
            {"label_value": "ended", "series_count": 1}]},
        {"label_name": "job", "label_values_count": 2, "series_count": 12, "cardinality": [
            {"label_value": "a", "series_count": 8}, {"label_value": "b", "series_count": 4}]}]
    answer = ask(cluster, "label_values", **{"label_names[]": "__name__", "count_method": "active",
                                             "selector": '{host="h0"}', "limit": 1})
    assert answer["series_count_total"] == 24
    assert answer["labels"] == [{"label_name": "__name__", "label_values_count": 2, "series_count": 2,
                                 "cardinality": [{"label_value": "load", "series_count": 1}]}]


def test_active_series_come_once_and_without_those_that_ended(cluster):
    answer = ask(cluster, "active_series", selector='{host="h0"}')
    assert answer == {"data": [{"__name__": "load", "host": "h0"}, {"__name__": "up", "host": "h0", "job": "b"}]}
    assert ask(cluster, "active_series", selector="ended") == {"data": []}
    assert len(ask(cluster, "active_series", selector='{__name__=~".+"}')["data"]) == 24


@pytest.mark.parametrize("request_line, text", [
    ("label_names?limit=-1", "'limit' param cannot be less than '0'"),
    ("label_names?limit=501", "'limit' param cannot be greater than '500'"),
    ("label_names?limit=x", 'strconv.Atoi: parsing "x": invalid syntax'),
    ("label_names?limit=1&limit=2", "multiple 'limit' params are not allowed"),
    ("label_names?selector=up&selector=up", "multiple 'selector' params are not allowed"),
    ("label_names?selector=up{", "failed to parse selector: "),
    ("label_names?count_method=all",
     "invalid 'count_method' param 'all'. valid options are: [active,inmemory]"),
    ("label_values", "'label_names[]' param is required"),
    ("label_values?label_names[]=", "invalid 'label_names' param ''"),
    ("active_series", "missing 'selector' parameter"),
])
def test_wrong_parameters_are_named(cluster, request_line, text):
    answer = harness.http("GET", f"{cluster.querier.url}/api/v1/cardinality/{request_line}")
    assert answer.status == 400 and answer.text.strip().startswith(text), answer.text


def test_counts_stay_when_a_replica_is_away(cluster):
    cluster.ingesters[0].kill()
    for _ in range(50):
        answer = cluster.querier.post("/api/v1/cardinality/label_values", {"label_names[]": "job"})
        if answer.status == 200:
            break
        time.sleep(0.2)
    assert answer.status == 200, answer.text
    rows = json.loads(answer.text)["labels"][0]["cardinality"]
    assert [row["label_value"] for row in rows] == ["a", "b"]
