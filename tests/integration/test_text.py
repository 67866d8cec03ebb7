"""The text formats: import, and pushes as to a Pushgateway."""

import base64
import gzip
import time

import pytest

import harness


def post(node, path, body, headers=None, method="POST"):
    return harness.http(method, node.url + path, body if isinstance(body, bytes) else body.encode(), headers or {})


def values(node, selector, at=None):
    found = node.query(f"{selector}[5m]", at or time.time() + 1)
    return {tuple(sorted(row["metric"].items())): [value for _, value in row["values"]] for row in found}


def test_import_takes_what_metrics_answers(single):
    text = single.get("/metrics").text
    assert post(single, "/api/v1/import/prometheus?extra_label=job=self", text).status == 204
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = single.query('count({job="self"})', time.time())
    assert float(found[0]["value"][1]) == len(lines)
    known = single.get("/api/v1/metadata", {"metric": "narthex_http_connections"}).json["data"]
    assert known["narthex_http_connections"][0]["type"] == "gauge"


def test_import_times_and_labels(single):
    now = int(time.time() * 1000)
    body = f'txt_a{{x="1"}} 1 {now - 60000}\ntxt_a{{x="1"}} 2 {now - 30000}\ntxt_a{{x="2",job="own"}} 3\n'
    answer = post(single, f"/api/v1/import/prometheus?timestamp={now - 1000}&extra_label=job=imported&extra_label=dc=e", body)
    assert answer.status == 204, answer.text
    rows = values(single, "txt_a")
    assert rows[("__name__", "txt_a"), ("dc", "e"), ("job", "imported"), ("x", "1")] == ["1", "2"]
    assert rows[("__name__", "txt_a"), ("dc", "e"), ("job", "imported"), ("x", "2")] == ["3"]


def test_open_metrics_with_exemplars(single):
    now = time.time()
    kind = {"Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8"}
    body = f'# TYPE om counter\nom_total{{a="b"}} 4 {now:.3f} # {{trace_id="t1"}} 0.5\n'
    answer = post(single, "/api/v1/import/prometheus", body, kind)
    assert answer.status == 400 and "# EOF" in answer.text
    assert post(single, "/api/v1/import/prometheus", body + "# EOF\n", kind).status == 204
    found = single.get("/api/v1/query_exemplars", {"query": "om_total", "start": now - 60, "end": now + 60}).json["data"]
    assert found[0]["exemplars"][0]["labels"] == {"trace_id": "t1"}


@pytest.mark.parametrize("prefix", ["", "/api/v1/import/prometheus", "/prometheus"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_push_for_a_job(single, prefix, method):
    name = f"txt_push_{len(prefix)}_{method.lower()}"
    path = f"{prefix}/metrics/job/nightly/instance/db-1"
    assert post(single, path, f'{name}{{job="other"}} 7\n', method=method).status == 200
    assert list(values(single, name)) == [(("__name__", name), ("instance", "db-1"), ("job", "nightly"))]


def test_push_with_base64(single):
    job = base64.urlsafe_b64encode(b"a/b?").decode().rstrip("=")
    path = base64.urlsafe_b64encode("/srv/ü".encode()).decode()
    assert post(single, f"/metrics/job@base64/{job}/path@base64/{path}/none@base64/=", "txt_b64 1\n").status == 200
    assert list(values(single, "txt_b64")) == [(("__name__", "txt_b64"), ("job", "a/b?"), ("path", "/srv/ü"))]


def test_compressed_bodies(single):
    body = gzip.compress(b"txt_gzip 5\n")
    assert post(single, "/api/v1/import/prometheus", body, {"Content-Encoding": "gzip"}).status == 204
    assert list(values(single, "txt_gzip").values()) == [["5"]]
    answer = post(single, "/api/v1/import/prometheus", body[:-3], {"Content-Encoding": "gzip"})
    assert answer.status == 400 and "ends too early" in answer.text
    assert post(single, "/api/v1/import/prometheus", body, {"Content-Encoding": "br"}).status == 415
    bomb = gzip.compress(b"# " + b"0" * (100 << 20))
    assert post(single, "/api/v1/import/prometheus", bomb, {"Content-Encoding": "gzip"}).status == 413


@pytest.mark.parametrize("path, body, text", [
    ("/api/v1/import/prometheus", "up 1\nup\n", 'line 2: expected a value at ""'),
    ("/api/v1/import/prometheus?timestamp=soon", "up 1\n", 'timestamp "soon" is not a number of milliseconds'),
    ("/api/v1/import/prometheus?extra_label=x", "up 1\n", "expected name=value"),
    ("/metrics/job/a/b", "up 1\n", 'label "b" has no value'),
    ("/metrics/job@base64/=/x/y", "up 1\n", "job name is required"),
    ("/metrics/job@base64/%21", "up 1\n", "not base64"),
    ("/api/v1/import/prometheus", "a{x=\"1\",x=\"2\"} 1\n", "duplicate"),
])
def test_bad_input_is_told(single, path, body, text):
    answer = post(single, path, body)
    assert answer.status == 400 and text in answer.text, answer.text


def test_metrics_itself_is_still_there(single):
    assert "narthex_http_connections" in single.get("/metrics").text
    assert post(single, "/metrics", "up 1\n").status == 405


@pytest.mark.parametrize("path", ["/write", "/api/v2/write"])
def test_influx_lines(single, path):
    now = int(time.time())
    name = f"line{len(path)}"
    body = f"{name},host=web\\ 1 usage=12.5,up=true,note=\"x\" {now - 10}\n{name},host=web\\ 1 usage=13 {now}\n"
    assert post(single, f"{path}?precision=s&db=shop", body).status == 204
    labels = (("db", "shop"), ("host", "web 1"))
    assert values(single, f"{name}_usage") == {(("__name__", f"{name}_usage"), *labels): ["12.5", "13"]}
    assert values(single, f"{name}_up") == {(("__name__", f"{name}_up"), *labels): ["1"]}
    answer = post(single, path, f"{name} usage=1\n{name} usage\n")
    assert answer.status == 400 and "line 2" in answer.text
