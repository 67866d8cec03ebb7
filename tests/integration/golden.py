"""Golden files: requests of the HTTP API and what is answered to them.

A file of golden/ is an object with `about` and `cases`. A case:

  name      what it shows
  request   method and path
  url       parameters in the URL, as pairs; kept in this order
  form      parameters in a form body, as pairs
  body      any other body, as text
  headers   of the request
  status    of the answer
  answer    the answer: JSON, or a string for plain text; absent where there is no body
  reply     headers of the answer that are looked at; null for one that must be absent
  packaged  where the packaged Prometheus 2.42 says something else: `why`, and its own status, answer and reply;
            without a status it is not asked

JSON is compared as written: the order of keys and the text of numbers count. Strings of an answer that begin with
`<re:` and end with `>` are patterns for the text of a value; `<any>` is anything that is there. Rows of a vector have
no order unless the case is `ordered`.

A file whose `packaged` is `scrapes` is asked of a Prometheus that scrapes the same metrics, instead of receiving them.
"""

import gzip
import json
import re
import urllib.parse
import zlib
from pathlib import Path

import harness

FOLDER = Path(__file__).parent / "golden"


class Number(str):
    """A JSON number as written."""


def parse(text):
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=Number)


def dump(value, indent=0, width=110):
    """JSON with numbers as they were written, on one line where that is short."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        items, ends = [f"{json.dumps(k)}: " for k in value], "{}"
        values = list(value.values())
    elif isinstance(value, list):
        items, ends, values = [""] * len(value), "[]", value
    else:
        return json.dumps(value, ensure_ascii=False)
    line = ends[0] + ", ".join(k + dump(v, 0, 10 ** 9) for k, v in zip(items, values)) + ends[1]
    if indent + len(line) <= width:
        return line
    inner = " " * (indent // 2 * 2 + 2)
    body = ",\n".join(inner + k + dump(v, len(inner), width) for k, v in zip(items, values))
    return f"{ends[0]}\n{body}\n{inner[2:]}{ends[1]}"


def load(path):
    return parse(path.read_text("utf-8"))


def save(path, content):
    path.write_text(dump(content) + "\n", "utf-8")


def ask(url, case):
    method, path = case["request"].split(" ")
    headers = dict(case.get("headers", {}))
    body = case["body"].encode() if "body" in case else None
    if "form" in case:
        body = urllib.parse.urlencode([tuple(pair) for pair in case["form"]]).encode()
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    if "url" in case:
        path += "?" + urllib.parse.urlencode([tuple(pair) for pair in case["url"]])
    return unpacked(harness.http(method, url + path, body, headers))


def header_of(answer, name):
    """The values of a header, joined; None without any."""
    return ", ".join(answer.headers.get_all(name) or ()) or None


def unpacked(answer):
    """The body without its Content-Encoding."""
    encoding = answer.headers.get("Content-Encoding")
    body = gzip.decompress(answer.body) if encoding == "gzip" else answer.body
    return harness.Answer(answer.status, answer.headers, zlib.decompress(body) if encoding == "deflate" else body)


def answer_of(answer):
    """The body: JSON, text, or None."""
    if not answer.body:
        return None
    if (answer.headers.get("Content-Type") or "").startswith("application/json"):
        return parse(answer.text)
    return answer.text


def in_order(answer, case):
    """Rows of a vector by their labels."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if isinstance(data, dict) and data.get("resultType") == "vector" and not case.get("ordered"):
        rows = sorted(data["result"], key=lambda row: json.dumps(row["metric"], sort_keys=True))
        return {**answer, "data": {**data, "result": rows}}
    return answer


def difference(want, got, path="answer"):
    """None, or where two answers differ."""
    if want == "<any>" and got is not None:
        return None
    if isinstance(want, str) and want.startswith("<re:") and want.endswith(">"):
        matches = isinstance(got, str) and re.fullmatch(want[4:-1], got, re.S)
        return None if matches else f"{path}: {got!r} is not {want}"
    if isinstance(want, Number) != isinstance(got, Number) or type(want) is not type(got):
        return f"{path}: expected {want!r}, got {got!r}"
    if isinstance(want, dict):
        if list(want) != list(got):
            return f"{path}: expected keys {list(want)}, got {list(got)}"
        pairs = [(f"{path}.{key}", want[key], got[key]) for key in want]
    elif isinstance(want, list):
        if len(want) != len(got):
            return f"{path}: expected {len(want)} elements, got {len(got)}"
        pairs = [(f"{path}[{i}]", a, b) for i, (a, b) in enumerate(zip(want, got))]
    else:
        return None if want == got else f"{path}: expected {want!r}, got {got!r}"
    return next(filter(None, (difference(a, b, p) for p, a, b in pairs)), None)


def check(case, expected, answer):
    """None, or how an answer differs from `expected`: the case itself, or what it says of the packaged Prometheus."""
    if str(answer.status) != expected["status"]:
        return f"expected status {expected['status']}, got {answer.status}: {answer.text[:300]}"
    for name, value in expected.get("reply", {}).items():
        got = header_of(answer, name)
        if difference(value, got):
            return f"header {name}: expected {value!r}, got {got!r}"
    want, got = expected.get("answer"), answer_of(answer)
    return difference(in_order(want, case), in_order(got, case))


def record(case, narthex, prometheus):
    """Writes the answers of both servers into a case that has none."""
    if "status" in case:
        return
    looked_at = list(case.get("reply", ()))

    def fields(answer):
        found = {"status": Number(answer.status)}
        if looked_at:
            found["reply"] = {name: header_of(answer, name) for name in looked_at}
        body = answer_of(answer)
        return found if body is None else {**found, "answer": in_order(body, case)}

    ours, theirs = fields(ask(narthex, case)), fields(ask(prometheus, case))
    case.pop("reply", None)
    case.update(ours)
    if difference(ours, theirs):
        case["packaged"] = {"why": "", **theirs}
