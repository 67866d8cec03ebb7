"""What the process tells of itself as JSON: notifications and their stream, its own metrics, and the description of the API."""

import http.client
import json
import re
import signal
import socket

import pytest

import harness

GOOD = "log:\n  level: info\n"
RELOAD_FAILED = "Configuration reload has failed."


@pytest.fixture
def node(tmp_path):
    (port,) = harness.free_ports(1)
    config = tmp_path / "narthex.yml"
    config.write_text(GOOD)
    node = harness.Node("all", "n1", port, tmp_path, [f"--config={config}"])
    node.config = config
    try:
        node.start()
        node.wait_ready()
        yield node
    finally:
        node.kill()


class Stream:
    """Events as they come."""

    def __init__(self, node):
        self.connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
        self.connection.request("GET", "/api/v1/notifications/live")
        self.answer = self.connection.getresponse()

    def event(self):
        """The next event, or None at the end of the stream."""
        line = self.answer.readline()
        if not line:
            return None
        assert line.startswith(b"data: "), line
        assert self.answer.readline() == b"\n"
        event = json.loads(line[6:])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", event["date"])
        return event["text"], event["active"]

    def close(self):
        self.connection.close()
        self.answer.close()


def reload(node, text):
    node.config.write_text(text)
    return node.post("/-/reload").status


def notifications(node):
    return [(n["text"], n["active"]) for n in node.get("/api/v1/notifications").json["data"]]


def test_a_reload_that_fails_is_told_until_one_succeeds(node):
    runtime = node.get("/api/v1/status/runtimeinfo").json["data"]
    assert runtime["reloadConfigSuccess"] is True
    assert notifications(node) == []
    early = Stream(node)
    assert early.answer.status == 200
    assert early.answer.headers["Content-Type"] == "text/event-stream"
    assert early.answer.headers["Cache-Control"] == "no-cache"

    assert reload(node, "bad: [") == 500
    assert early.event() == (RELOAD_FAILED, True)
    assert notifications(node) == [(RELOAD_FAILED, True)]
    assert node.get("/api/v1/status/runtimeinfo").json["data"]["reloadConfigSuccess"] is False
    late = Stream(node)
    assert late.event() == (RELOAD_FAILED, True)  # what is so when it begins

    assert reload(node, GOOD) == 200
    assert early.event() == late.event() == (RELOAD_FAILED, False)
    assert notifications(node) == []
    again = node.get("/api/v1/status/runtimeinfo").json["data"]
    assert again["reloadConfigSuccess"] is True
    assert again["lastConfigTime"] > runtime["lastConfigTime"]

    node.signal(signal.SIGTERM)
    for stream in (early, late):
        text, active = stream.event()
        assert "shutting down" in text and active
        assert stream.event() is None  # and nobody waits for it
        stream.close()
    assert node.child.wait(60) == 0


def test_streams_beyond_the_limit_get_204_until_one_goes(node):
    streams = [Stream(node) for _ in range(16)]
    assert [s.answer.status for s in streams] == [200] * 16
    refused = Stream(node)
    assert refused.answer.status == 204 and refused.answer.read() == b""
    refused.close()
    streams[7].connection.sock.shutdown(socket.SHUT_RDWR)
    streams.pop(7).close()
    harness.wait_until(lambda: Stream(node).answer.status == 200, 60, "a place for a stream")
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("path", ["notifications/live", "notifications", "openapi.yaml", "status/self_metrics"])
def test_only_get(node, path):
    answer = node.post("/api/v1/" + path)
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


def test_self_metrics_are_those_of_the_metrics_page(node):
    page = node.get("/metrics").text
    types = {m[1]: m[2] for m in re.finditer(r"^# TYPE (\S+) (\S+)$", page, re.M)}
    families = node.get("/api/v1/status/self_metrics").json["data"]
    assert [f["name"] for f in families] == sorted(types)
    for family in families:
        assert family["type"] == types[family["name"]].upper()
        assert family["help"] and family["metric"]
        for metric in family["metric"]:
            assert set(metric) - {"label"} == {types[family["name"]]}
    series = sum(len(f["metric"]) for f in families if f["type"] != "HISTOGRAM")
    assert series == sum(1 for line in page.splitlines() if line[0] != "#" and types.get(re.match(r"\w+", line)[0]))


def test_self_metrics_of_a_histogram_count_up(node):
    node.query("vector(1)")
    params = {"metric_name_pattern": "narthex_query_(duration_seconds|requests_total)"}
    durations, requests = node.get("/api/v1/status/self_metrics", params).json["data"]
    asked = {m["label"][0]["value"]: m["counter"]["value"] for m in requests["metric"]}
    assert asked["query"] == 1 and {m["label"][0]["name"] for m in requests["metric"]} == {"endpoint"}
    (metric,) = durations["metric"]
    histogram = metric["histogram"]
    counts = [int(b["cumulativeCount"]) for b in histogram["bucket"]]
    assert counts == sorted(counts) and counts[-1] <= int(histogram["sampleCount"])
    assert int(histogram["sampleCount"]) >= 1 and isinstance(histogram["sampleCount"], str)
    bounds = [b["upperBound"] for b in histogram["bucket"]]
    assert bounds == sorted(bounds)


def test_the_description_has_every_endpoint(node):
    answer = node.get("/api/v1/openapi.yaml")
    assert answer.headers["Content-Type"] == "application/yaml; charset=utf-8"
    text = answer.text
    assert text.startswith("openapi: 3.1.0\n")
    newer = node.get("/api/v1/openapi.yaml", {"openapi_version": "3.2"}).text
    assert newer.startswith("openapi: 3.2.0\n")
    paths = set(re.findall(r'^  "(/\S+)":$', newer, re.M))
    assert set(re.findall(r'^  "(/\S+)":$', text, re.M)) == paths - {"/notifications/live"}
    for path in ("/query", "/query_range", "/series", "/label/{name}/values", "/read", "/status/self_metrics",
                 "/admin/tsdb/delete_series", "/notifications", "/openapi.yaml"):
        assert path in paths
    assert 'summary: ""' not in newer and 'description: ""' not in newer
    # each is there, with the methods that it is said to have
    for path in paths - {"/notifications/live", "/federate", "/version"}:
        answer = harness.http("DELETE", f"{node.url}/api/v1{path.replace('{name}', 'a')}")
        assert answer.status == 405, path
        block = newer.split(f'  "{path}":\n')[1].split('\n  "/')[0]
        methods = {m.upper() for m in re.findall(r"^    (get|post|put):$", block, re.M)}
        assert methods == {m.strip() for m in answer.headers["Allow"].split(",")} - {"OPTIONS"}, path
