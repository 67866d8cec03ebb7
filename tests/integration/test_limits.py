"""Limits of tenants, on real processes: rates shared by distributors, labels, relabeling, reload."""

import time

import pytest

import harness


def rows(name, count, start=0, **labels):
    now = int(time.time() * 1000)
    return [({"__name__": name, "i": str(i), **labels}, [(now, float(i))]) for i in range(start, start + count)]


class Tenants:
    """A process with multitenancy and an overrides file."""

    def __init__(self, tmp_path, text, flags=()):
        self.file = tmp_path / "overrides.yml"
        self.file.write_text(text)
        port = harness.free_ports(1)[0]
        self.node = harness.Node("all", "all", port, tmp_path,
                                 ["--auth.multitenancy=true", f"--tenants.overrides-file={self.file}",
                                  "--storage.retention=10y", *flags])
        self.node.start()
        self.node.wait_ready()

    def change(self, text):
        self.file.write_text(text)
        assert self.node.post("/-/reload").status == 200

    def send(self, pb, series, tenant="t"):
        writer = harness.Writer(pb, self.node.url)
        return writer.send_raw(writer.encode(series), headers={"X-Scope-OrgID": tenant})

    def names(self, tenant="t"):
        answer = self.node.get("/api/v1/series", {"match[]": '{__name__=~".+"}'},
                               headers={"X-Scope-OrgID": tenant})
        return answer.json["data"]


@pytest.fixture
def tenants(tmp_path):
    made = []

    def start(text, flags=()):
        made.append(Tenants(tmp_path, text, flags))
        return made[-1]

    yield start
    for one in made:
        one.node.kill()


def test_rate_is_refused_with_its_setting_and_a_time_to_wait(tenants, remote_pb2):
    one = tenants("overrides: {t: {ingestion_rate: 100, ingestion_burst_size: 150}}")
    assert one.send(remote_pb2, rows("a", 150)).status == 204
    answer = one.send(remote_pb2, rows("a", 100))
    assert answer.status == 429
    assert "limits.ingestion-rate" in answer.text and "100 samples" in answer.text
    assert 1 <= int(answer.headers["Retry-After"]) <= 4
    assert one.send(remote_pb2, rows("a", 100), tenant="other").status == 204
    time.sleep(1.3)
    assert one.send(remote_pb2, rows("a", 100)).status == 204
    answer = one.send(remote_pb2, rows("a", 151))
    assert answer.status == 429 and "limits.ingestion-burst-size" in answer.text
    one.change("overrides: {t: {ingestion_rate: 0}}")
    for _ in range(5):
        assert one.send(remote_pb2, rows("a", 151)).status == 204
    assert one.node.metric("narthex_distributor_refused_samples_total", reason="rate_limited") == 251


def test_rules_apply_to_known_and_new_series_and_follow_a_reload(tenants, remote_pb2):
    text = """
overrides:
  t:
    drop_labels: [pod]
    metric_relabel_configs:
    - {source_labels: [__name__], regex: 'go_.*', action: drop}
    - {source_labels: [i], regex: '(.)', target_label: digit, replacement: 'd$1'}
"""
    one = tenants(text)
    for _ in range(3):
        assert one.send(remote_pb2, rows("go_gc", 3) + rows("up", 2, pod="x")).status == 204
    found = one.names()
    assert sorted(found, key=str) == sorted(
        [{"__name__": "up", "i": str(i), "digit": f"d{i}"} for i in range(2)], key=str)
    assert one.node.metric("narthex_distributor_relabel_dropped_samples_total") == 9
    one.change("overrides: {}")
    assert one.send(remote_pb2, rows("go_gc", 1)).status == 204
    assert {"__name__": "go_gc", "i": "0"} in one.names()
    # a file with a mistake changes nothing
    one.file.write_text("overrides: {t: {drop_labels: pod}}")
    answer = one.node.post("/-/reload")
    assert answer.status != 200 and "overrides.yml:1" in answer.text
    assert one.send(remote_pb2, rows("up", 1, pod="y")).status == 204
    assert {"__name__": "up", "i": "0", "pod": "y"} in one.names()


def test_label_limits_are_the_tenants_own(tenants, remote_pb2):
    one = tenants("overrides: {t: {max_label_value_length: 5, max_label_names_per_series: 3}}")
    answer = one.send(remote_pb2, rows("abcdef", 1) + rows("abcde", 1))
    assert answer.status == 400 and "limit: 5" in answer.text and "limits.max-label-value-length" in answer.text
    assert one.names() == [{"__name__": "abcde", "i": "0"}]
    answer = one.send(remote_pb2, rows("a", 1, b="1", c="2"))
    assert answer.status == 400 and "limits.max-label-names-per-series" in answer.text
    assert one.send(remote_pb2, rows("abcdef", 1, b="1", c="2"), tenant="u").status == 204


def test_distributors_share_a_rate(tmp_path, remote_pb2):
    overrides = tmp_path / "overrides.yml"
    overrides.write_text("overrides: {t: {ingestion_rate: 1000, ingestion_burst_size: 1000}}")
    flags = ["--auth.multitenancy=true", f"--tenants.overrides-file={overrides}"]
    cluster = harness.Cluster(tmp_path, flags=["--auth.multitenancy=true"],
                              distributor_flags=flags[1:], ingesters=3)
    second = harness.Node("distributor", "distributor-2", harness.free_ports(1)[0], tmp_path,
                          [f for f in cluster.distributor.argv if f.startswith("--ring.")] + flags)
    try:
        cluster.start()
        second.start()
        second.wait_ready()
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        body = writer.encode(rows("a", 1000))

        def told():
            answer = writer.send_raw(body, headers={"X-Scope-OrgID": "t"})
            return answer.status == 429 and "distributors 2" in answer.text

        harness.wait_until(told, 20, "a rate shared by two")
        second.kill()
        harness.wait_until(lambda: "distributors 1" in
                           writer.send_raw(body, headers={"X-Scope-OrgID": "t"}).text, 20, "a rate of one's own")
    finally:
        second.kill()
        cluster.kill()


def test_series_beyond_the_limit_are_refused_and_known_ones_stored(tenants, remote_pb2):
    one = tenants("overrides: {t: {max_global_series_per_user: 100}, m: {max_global_series_per_metric: 40}}",
                  ["--workers=2"])
    assert one.send(remote_pb2, rows("a", 60)).status == 204
    answer = one.send(remote_pb2, rows("a", 200))
    assert answer.status == 429
    assert "limit of 100 series" in answer.text and "limits.max-global-series-per-user" in answer.text
    assert "refused: 100 of 200 samples" in answer.text and int(answer.headers["Retry-After"]) >= 1
    assert len(one.names()) == 100
    # the known ones go on
    assert one.send(remote_pb2, rows("a", 60)).status == 204
    one.change("overrides: {t: {max_global_series_per_user: 400}}")
    assert one.send(remote_pb2, rows("a", 200)).status == 204
    one.change("overrides: {m: {max_global_series_per_metric: 40}}")
    answer = one.send(remote_pb2, rows("b", 100), tenant="m")
    assert answer.status == 429 and "40 series of the metric b" in answer.text
    assert len(one.names("m")) == 40
    assert one.send(remote_pb2, rows("c", 10), tenant="m").status == 204


def test_out_of_order_window_of_a_tenant_is_narrower(tenants, remote_pb2):
    one = tenants("overrides: {t: {out_of_order_time_window: 10m}}")
    now = int(time.time() * 1000)
    labels = {"__name__": "a"}
    assert one.send(remote_pb2, [(labels, [(now, 1.0)])]).status == 204
    assert one.send(remote_pb2, [(labels, [(now - 300_000, 2.0)])]).status == 204
    answer = one.send(remote_pb2, [(labels, [(now - 700_000, 3.0)])])
    assert answer.status == 400 and "too old" in answer.text
    assert one.send(remote_pb2, [(labels, [(now, 1.0)])], tenant="u").status == 204
    assert one.send(remote_pb2, [(labels, [(now - 700_000, 3.0)])], tenant="u").status == 204


def test_series_limit_holds_over_six_ingesters(tmp_path, remote_pb2):
    overrides = tmp_path / "overrides.yml"
    overrides.write_text("overrides: {t: {max_global_series_per_user: 1000}}")
    flags = ["--auth.multitenancy=true", f"--tenants.overrides-file={overrides}"]
    cluster = harness.Cluster(tmp_path, flags=["--auth.multitenancy=true"], distributor_flags=flags[1:],
                              ingester_flags=flags[1:], ingesters=6)
    try:
        cluster.start()
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        tenant = {"X-Scope-OrgID": "t"}
        statuses = [writer.send_raw(writer.encode(rows("a", 500, start=n * 500)), headers=tenant).status
                    for n in range(5)]
        assert statuses[0] == 204 and 429 in statuses
        answer = cluster.querier.get("/api/v1/series", {"match[]": "a"}, headers=tenant)
        # shards take their parts, so a replica's count is off by the noise of hashing
        assert 900 <= len(answer.json["data"]) <= 1150
    finally:
        cluster.kill()


def test_tenant_sees_its_limits_and_its_series(tmp_path, remote_pb2):
    overrides = tmp_path / "overrides.yml"
    overrides.write_text("overrides: {t: {ingestion_rate: 5000, max_global_series_per_user: 777}}")
    flags = ["--auth.multitenancy=true", f"--tenants.overrides-file={overrides}"]
    cluster = harness.Cluster(tmp_path, flags=flags[:1], distributor_flags=flags[1:],
                              ingester_flags=flags[1:], ingesters=4)
    tenant = {"X-Scope-OrgID": "t"}
    try:
        cluster.start()
        limits = cluster.distributor.get("/api/v1/user_limits", headers=tenant).json
        assert limits["ingestion_rate"] == 5000 and limits["max_global_series_per_user"] == 777
        assert limits["ingestion_burst_size"] == 200000 and limits["max_label_value_length"] == 2048
        assert cluster.distributor.get("/api/v1/user_limits").status == 401
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        for _ in range(3):
            assert writer.send_raw(writer.encode(rows("a", 123)), headers=tenant).status == 204

        def series(count):
            return cluster.distributor.get("/api/v1/user_stats", headers=tenant).json["numSeries"] == count

        harness.wait_until(lambda: series(123), 10, "123 series")
        stats = cluster.distributor.get("/api/v1/user_stats", headers=tenant).json
        assert 3 < stats["ingestionRate"] < 30
        assert cluster.distributor.get("/api/v1/user_stats", headers={"X-Scope-OrgID": "u"}).json["numSeries"] == 0
    finally:
        cluster.kill()
