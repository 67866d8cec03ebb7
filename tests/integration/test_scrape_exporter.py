"""A packaged node-exporter is scraped by Narthex and by the packaged Prometheus: live, where both must have the same series,
and from pages of it that stand still, as text and as protobuf, where both must have the same values to the bit."""

import struct
import time

import pytest

import harness
from scrape_target import TargetServer

snappy = pytest.importorskip("snappy")

FORMS = {
    "text": "text/plain; version=0.0.4",
    "protobuf": "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
}

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 900ms}
scrape_configs:
  - job_name: live
    static_configs: [{targets: ["EXPORTER"]}]
""" + "".join(f"""  - job_name: {form}
    metrics_path: /{form}
    OPTIONSstatic_configs: [{{targets: ["TARGET"]}}]
""" for form in FORMS)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    missing = harness.missing_program("prometheus", "prometheus-node-exporter")
    if missing:
        pytest.skip(f"{missing} is not installed")
    work = tmp_path_factory.mktemp("exporter")
    port, own = harness.free_ports(2)
    exporter = harness.Process("exporter", ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"], work)
    target = TargetServer()
    config = CONFIG.replace("EXPORTER", f"127.0.0.1:{port}").replace("TARGET", target.address)
    (work / "scrape.yml").write_text(config.replace("OPTIONS", "scrape_native_histograms: true\n    "))
    prometheus = harness.Prometheus(work, config.replace("OPTIONS", ""), flags=["--enable-feature=native-histograms"])
    node = harness.Node("all", "scraper", own, work, [f"--scrape.config-file={work}/scrape.yml", "--storage.retention=10y"])
    try:
        exporter.start()
        url = f"http://127.0.0.1:{port}/metrics"

        def page(kind):
            try:
                return harness.http("GET", url, headers={"Accept": kind})
            except OSError:
                return None

        harness.wait_until(lambda: page("text/plain"), 60, "node-exporter")
        for form, kind in FORMS.items():
            answer = page(kind)
            assert answer.headers["Content-Type"].split(";")[0] == kind.split(";")[0]
            target.set("/" + form, answer.body, content_type=answer.headers["Content-Type"])
        begin = int(time.time() * 1000)
        prometheus.start()
        node.start().wait_ready()
        prometheus.wait_ready()
        harness.wait_until(lambda: all(target.count("/" + form, client) >= 4 for form in FORMS
                                       for client in ("prometheus", "narthex")), 60, "four scrapes of all")
        harness.wait_until(lambda: all(harness.http("GET", s.url + "/api/v1/query?query=up%7Bjob%3D%22live%22%7D==1").json
                                       ["data"]["result"] for s in (prometheus, node)), 60, "the live one")
        time.sleep(2)
        yield node, prometheus, begin
        assert node.stop() == 0, node.log[-3000:]
    finally:
        prometheus.kill()
        node.kill()
        exporter.kill()
        target.close()


def read_all(pb, url, begin_ms):
    """{labels: the set of the bits of its values} by remote read."""
    request = pb.ReadRequest()
    query = request.queries.add(start_timestamp_ms=begin_ms, end_timestamp_ms=int(time.time() * 1000))
    query.matchers.add(type=2, name="job", value="live|" + "|".join(FORMS))
    answer = harness.http("POST", url + "/api/v1/read", snappy.compress(request.SerializeToString()),
                          {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
    assert answer.status == 200, answer.text
    return {tuple((label.name, label.value) for label in row.labels):
            {struct.unpack("<Q", struct.pack("<d", s.value))[0] for s in row.samples}
            for result in pb.ReadResponse.FromString(snappy.decompress(answer.body)).results for row in result.timeseries}


@pytest.fixture(scope="module")
def both(scraped, remote_pb2):
    node, prometheus, begin = scraped
    return read_all(remote_pb2, node.url, begin), read_all(remote_pb2, prometheus.url, begin)


def of(job, series):
    return {labels: values for labels, values in series.items() if dict(labels)["job"] == job}


@pytest.mark.parametrize("form", FORMS)
def test_a_page_that_stands_still_gives_the_same_values(both, form):
    ours, theirs = (of(form, series) for series in both)
    assert len(theirs) > 300
    assert sorted(set(ours) ^ set(theirs)) == []
    measured = {"scrape_duration_seconds", "scrape_series_added"}
    assert [labels for labels in theirs if ours[labels] != theirs[labels] and dict(labels)["__name__"] not in measured] == []


def test_the_live_one_gives_the_same_series(both):
    ours, theirs = (of("live", series) for series in both)
    assert len(theirs) > 300
    # A device or an interface may come or go between two scrapes of different servers; names do not.
    assert {dict(labels)["__name__"] for labels in ours} == {dict(labels)["__name__"] for labels in theirs}
    assert len(set(ours) ^ set(theirs)) <= len(theirs) // 20, sorted(set(ours) ^ set(theirs))[:5]
    still = [labels for labels in set(ours) & set(theirs) if len(ours[labels]) == len(theirs[labels]) == 1
             and dict(labels)["__name__"].endswith(("_info", "_bytes_total", "_size_bytes", "_max"))]
    assert len(still) > 10
    different = [labels for labels in still if ours[labels] != theirs[labels]]
    assert len(different) <= len(still) // 10, different


def test_metadata_is_that_of_prometheus(scraped):
    node, prometheus, _ = scraped
    ours, theirs = (harness.http("GET", s.url + "/api/v1/metadata").json["data"] for s in (node, prometheus))
    said = lambda data: {name: sorted({(row["type"], row["help"]) for row in rows}) for name, rows in data.items()}
    ours, theirs = said(ours), said(theirs)
    assert len(theirs) > 100
    assert {name: rows for name, rows in theirs.items() if ours.get(name) != rows} == {}
