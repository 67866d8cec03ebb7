"""`narthex tool`: expressions without a server, and queries against one."""

import csv
import io
import json
import subprocess
import time

import pytest

import harness

snappy = pytest.importorskip("snappy")


def tool(*arguments, text=None):
    done = subprocess.run([harness.NARTHEX, "tool", *map(str, arguments)], input=text,
                          stdin=None if text is not None else subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


# --- promql ---


def test_fmt_prints_as_format_query():
    assert tool("promql", "fmt", "sum(rate(a[5m]))by(x)") == (0, "sum by (x) (rate(a[5m]))\n", "")
    long = " + ".join(f"sum by (label_{i}) (rate(metric_{i}_total[5m]))" for i in range(4))
    status, out, _ = tool("promql", "fmt", long)
    assert status == 0 and out.count("\n") > 4
    assert tool("promql", "fmt", out) == (0, out, "")


def test_check_says_what_and_where():
    assert tool("promql", "check", "up") == (0, "", "")
    assert tool("promql", "check", "-up") == (0, "", "")
    status, out, error = tool("promql", "check", "sum(rate(a[5m])")
    assert (status, out, error) == (1, "", "1:16: parse error: unclosed left parenthesis\n")
    status, _, error = tool("promql", "check", "rate(a)")
    assert status == 1 and error.startswith("1:6: parse error: expected type range vector")
    status, _, error = tool("promql", "check", "")
    assert (status, error) == (1, "unknown position: parse error: no expression found in input\n")


def test_parse_prints_the_tree():
    status, out, _ = tool("promql", "parse", "-", text="sum(a)\n  + 2")
    assert status == 0 and json.loads(out)["type"] == "binaryExpr"


def test_a_file_holds_one_expression_or_one_a_line(tmp_path):
    path = tmp_path / "rules.promql"
    path.write_text("sum(\n  a\n)\n/ 2\n")
    assert tool("promql", "fmt", f"--file={path}") == (0, "sum(a) / 2\n", "")
    path.write_text("# comment\nup\n\nsum(a)\nrate(b[5m])\n")
    assert tool("promql", "fmt", "--file", path) == (0, "up\nsum(a)\nrate(b[5m])\n", "")
    path.write_text("up\nsum(\nrate(b)\n")
    status, _, error = tool("promql", "check", f"--file={path}")
    assert status == 1
    assert [line.split(" ")[0] for line in error.splitlines()] == [f"{path}:2:", f"{path}:3:"]
    path.write_text("a\n- b\n")
    assert tool("promql", "fmt", f"--file={path}") == (0, "a - b\n", "")
    assert tool("promql", "fmt", "--lines", f"--file={path}") == (0, "a\n-b\n", "")
    assert tool("promql", "check", "--file=/nowhere")[0] == 1
    path.write_bytes(b"up{\xff=\x00")
    assert tool("promql", "check", f"--file={path}")[0] == 1


def test_features_switch_the_language():
    expr = "limitk(2, up)"
    assert tool("promql", "check", expr)[0] == 1
    assert tool("promql", "check", expr, "--features=promql-experimental-functions")[0] == 0
    status, _, error = tool("promql", "check", expr, "--features=nonsense")
    assert status == 2 and "nonsense" in error


def test_misuse_is_told():
    for arguments in ([], ["nothing"], ["promql"], ["promql", "guess", "up"],
                      ["promql", "fmt", "a", "b"], ["promql", "fmt", "--what", "a"],
                      ["promql", "fmt", "a", "--file=b"], ["query"], ["query", "never", "up"],
                      ["query", "instant"], ["query", "instant", "up", "--start=1"],
                      ["query", "range", "up", "--time=1"], ["query", "instant", "up", "--what"],
                      ["query", "instant", "up", "--time"], ["query", "instant", "up", "--time=x"],
                      ["query", "range", "up", "--step=0"], ["query", "range", "up", "--start=2", "--end=1"]):
        status, out, error = tool(*arguments)
        assert (status, out) == (2, "") and error, arguments
    assert '"--what" is not expected here' in tool("promql", "fmt", "--what", "a")[2]
    status, out, error = tool("help")
    assert status == 0 and "promql fmt|check|parse" in out and not error
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([harness.NARTHEX, "tool", "promql", "fmt", "up"], stdout=full,
                              stderr=subprocess.PIPE, check=False)
        assert done.returncode == 1 and done.stderr


# --- query ---


@pytest.fixture(scope="module")
def held(single, remote_pb2):
    now = int(time.time()) * 1000
    writer = harness.Writer(remote_pb2, single.url)
    series = [({"__name__": "load", "host": host, "zone": zone},
               [(now - i * 15000, float(240 - i) * scale) for i in range(240, -1, -1)])
              for host, zone, scale in (("a", 'q"1', 1), ("hé,b", "x", 0.5))]
    request = writer.request(series)
    row = request.timeseries.add()
    row.labels.add(name="__name__", value="native")
    h = row.histograms.add(timestamp=now, schema=0, count_int=3, sum=2.5, zero_threshold=0.001)
    h.positive_spans.add(offset=0, length=2)
    h.positive_deltas.extend([1, 1])
    answer = writer.send_raw(snappy.compress(request.SerializeToString()))
    assert answer.status == 204, answer.text
    return single, now // 1000


def ask(node, *arguments):
    return tool("query", *arguments, f"--address=127.0.0.1:{node.port}")


def test_table_is_aligned(held):
    node, now = held
    status, out, error = ask(node, "instant", "load", f"--time={now}")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now))
    assert (status, error) == (0, "")
    assert out == ('SERIES'.ljust(27) + '  VALUE  TIME\n'
                   f'load{{host="a", zone="q\\"1"}}    240  {stamp}\n'
                   f'load{{host="hé,b", zone="x"}}    120  {stamp}\n')
    assert ask(node, "instant", "nothing") == (0, "SERIES  VALUE  TIME\n", "")
    assert ask(node, "instant", "1+1", "--time=4")[1].splitlines()[1].split() == [
        "2", "1970-01-01T00:00:04.000Z"]
    assert '{count:3, sum:2.5, (0.5,1]:1, (1,2]:2}' in ask(node, "instant", "native")[1]


def test_csv_has_a_column_a_label(held):
    node, now = held
    status, out, _ = ask(node, "instant", "load or native", "--csv", f"--time={now}")
    rows = list(csv.reader(io.StringIO(out)))
    assert status == 0 and rows[0] == ["__name__", "host", "zone", "time", "value"]
    assert rows[1] == ["load", "a", 'q"1', f"{now}.000", "240"]
    assert rows[2] == ["load", "hé,b", "x", f"{now}.000", "120"]
    assert rows[3][0] == "native" and rows[3][4].startswith("{count:3")


def test_json_is_the_answer_of_the_server(held):
    node, now = held
    status, out, _ = ask(node, "instant", "load", "--json", f"--time={now}")
    assert status == 0
    assert json.loads(out) == node.get("/api/v1/query", {"query": "load", "time": now}).json


def test_times_of_all_kinds(held):
    node, now = held
    rfc = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 60))
    for text in (now - 60, f"{now - 60}.0", rfc):
        out = ask(node, "instant", 'load{host="a"}', f"--time={text}", "--csv")[1]
        assert out.splitlines()[1].endswith(f"{now - 60}.000,236")
    for text in ("-1m", "now-1m", "now-60s"):
        value = float(ask(node, "instant", 'time()', f"--time={text}", "--csv")[1].splitlines()[1].split(",")[1])
        assert abs(value - (time.time() - 60)) < 20


def test_range_defaults_to_the_last_hour_in_250_points(held):
    node, _ = held
    out = ask(node, "range", "vector(1)", "--json")[1]
    values = json.loads(out)["data"]["result"][0]["values"]
    assert values[1][0] - values[0][0] == 15 and len(values) == 241
    assert abs(values[-1][0] - time.time()) < 20
    out = ask(node, "range", "vector(1)", "--start=-10d", "--end", "now", "--json")[1]
    assert 100 <= len(json.loads(out)["data"]["result"][0]["values"]) <= 251
    out = ask(node, "range", 'load{host="a"}', "--start", "-2m", "--step=30s")[1].splitlines()
    assert len(out) == 6 and all(line.startswith('load{host="a"') for line in out[1:])
    times = [line.split()[-1] for line in out[1:]]
    assert times == sorted(times)


def test_warnings_go_to_standard_error(held):
    node, _ = held
    status, out, error = ask(node, "instant", "quantile(2, load)")
    assert status == 0 and "+Inf" in out
    assert error.startswith("warning: PromQL warning: quantile value should be between 0 and 1")


def test_failures_say_what_the_server_said(held):
    node, _ = held
    status, out, error = ask(node, "instant", "sum(")
    assert (status, out) == (1, "")
    assert 'answered 400: bad_data: invalid parameter "query": 1:5: parse error' in error
    (port,) = harness.free_ports(1)
    status, out, error = tool("query", "instant", "up", f"--address=127.0.0.1:{port}")
    assert (status, out) == (1, "") and "onnect" in error
    status, _, error = ask(node, "range", "load", "--start=0", "--step=1s")
    assert status == 1 and "exceeded maximum resolution" in error


def test_tenant_is_asked_for(tmp_path):
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "tenants", port, tmp_path, ["--auth.multitenancy=true"])
    try:
        node.start().wait_ready()
        status, _, error = ask(node, "instant", "1")
        assert status == 1 and "401" in error
        assert ask(node, "instant", "1", "--tenant=team")[0] == 0
    finally:
        node.kill()
