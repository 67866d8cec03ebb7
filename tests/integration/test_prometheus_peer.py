"""A packaged Prometheus scrapes node-exporter and itself and remote-writes to the cluster; afterwards both hold the same
samples and give the same answers."""

import os
import time

import pytest

import harness

SECONDS = int(os.environ.get("NARTHEX_PEER_SECONDS", "60"))

DASHBOARD = [
    "up",
    "count by (job) (up)",
    "sum by (job) (scrape_samples_scraped)",
    'sum by (mode) (rate(node_cpu_seconds_total[30s]))',
    '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[30s])))',
    "irate(node_disk_written_bytes_total[30s])",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "1 - node_filesystem_avail_bytes / node_filesystem_size_bytes",
    "rate(node_network_receive_bytes_total[30s]) * 8",
    "node_load1 or node_load5",
    "node_load1 > bool node_load5",
    "predict_linear(node_memory_MemFree_bytes[30s], 3600)",
    "deriv(node_memory_MemFree_bytes[30s])",
    "histogram_quantile(0.95, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[30s])))",
    "histogram_quantile(0.5, sum by (le, handler) (increase(prometheus_http_request_duration_seconds_bucket[30s])))",
    "sum(rate(prometheus_tsdb_head_samples_appended_total[30s]))",
    "topk(3, go_memstats_alloc_bytes)",
    "bottomk(3, count by (__name__) ({__name__=~\"node_.+\"}))",
    "count_values(\"state\", up)",
    "quantile(0.9, scrape_duration_seconds)",
    "stddev by (job) (scrape_duration_seconds)",
    "max_over_time(go_goroutines[30s]) - min_over_time(go_goroutines[30s])",
    "avg_over_time(node_load1[30s])",
    "quantile_over_time(0.5, go_goroutines[30s])",
    "changes(process_start_time_seconds[30s])",
    "resets(process_cpu_seconds_total[30s])",
    "absent(nothing_here)",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    "label_join(up, \"both\", \"-\", \"job\", \"instance\")",
    "up * on (instance) group_left (version) prometheus_build_info",
    "process_open_fds / ignoring (nothing) process_max_fds",
    "up unless on (job) go_info",
    "max_over_time(sum(rate(node_cpu_seconds_total[20s]))[30s:5s])",
    "node_load1 offset 10s",
    "clamp(node_load1, 0.2, 0.8)",
    "round(node_load1, 0.01)",
    "sort_desc(sum by (job) (scrape_samples_scraped))",
    "vector(scalar(sum(up)))",
    "day_of_week()", "hour(node_time_seconds)",
    "ln(node_memory_MemTotal_bytes)", "node_load1 ^ 2 % 3",
    "timestamp(up)",
    "go_gc_duration_seconds{quantile!=\"1\"}",
    "group by (job) ({job=~\"node|prometheus\"})",
]

CONFIG = """
global:
  scrape_interval: 1s
  external_labels: {cluster: peer}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ["SELF"]}]
  - job_name: node
    static_configs: [{targets: ["EXPORTER"]}]
  - job_name: down
    static_configs: [{targets: ["127.0.0.1:1"]}]
remote_write:
  - url: DISTRIBUTOR/api/v1/write
    queue_config: {batch_send_deadline: 1s, max_samples_per_send: 2000}
"""


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    missing = harness.missing_program("prometheus", "prometheus-node-exporter")
    if missing:
        pytest.skip(f"{missing} is not installed")
    work = tmp_path_factory.mktemp("peer")
    cluster = harness.Cluster(work).start()
    (port,) = harness.free_ports(1)
    exporter = harness.Process(
        "exporter", ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"], work).start()
    prometheus = harness.Prometheus(
        work, CONFIG.replace("EXPORTER", f"127.0.0.1:{port}").replace("DISTRIBUTOR", cluster.distributor.url))
    try:
        prometheus.start().wait_ready()
        time.sleep(SECONDS)
        exporter.stop()
        # Some rounds of stale markers, then nothing new; what is queued is sent within the deadline.
        time.sleep(15)
        end = int(time.time()) - 12
        yield cluster, prometheus, end
        prometheus.stop()
        cluster.stop()
    finally:
        prometheus.kill()
        exporter.kill()
        cluster.kill()


def without_external(result):
    for series in result:
        series["metric"].pop("cluster", None)
    return result


def agree(cluster, prometheus, query, at):
    """None, or how the two answers differ."""
    return harness.difference("vector", prometheus.query(query, at),
                              without_external(cluster.querier.query(query, at)))


def test_every_series_and_sample_count_agrees(peers):
    cluster, prometheus, end = peers
    window = f"{SECONDS + 60}s"
    series = f'count by (__name__, job, instance) (last_over_time({{__name__!=""}}[{window}]))'
    assert agree(cluster, prometheus, series, end) is None
    names = sorted({s["metric"]["__name__"] for s in prometheus.query(series, end)})
    assert len(names) > 300
    total = 0
    for name in names:
        query = f"count_over_time({name}[{window}])"
        assert agree(cluster, prometheus, query, end) is None, query
        total += sum(float(s["value"][1]) for s in prometheus.query(query, end))
    assert total > 500 * SECONDS


@pytest.mark.parametrize("query", DASHBOARD)
def test_dashboard_query_agrees(peers, query):
    cluster, prometheus, end = peers
    # Between two samples: 2.42 takes both ends of a range, 3.x leaves the left one out.
    assert agree(cluster, prometheus, query, end + 0.137) is None
