"""What leaves the disk of a running process, and what damage to it costs: real processes, real files."""

import re
import signal
import time

import pytest

import harness

HOUR = 3600
MINUTES = 10


@pytest.fixture
def node(tmp_path):
    (port,) = harness.free_ports(1)
    config = tmp_path / "narthex.yml"
    config.write_text("storage:\n  retention: 10y\n")
    made = harness.Node("all", "keeper", port, tmp_path,
                        [f"--config={config}", "--storage.block-window=1m", "--storage.out-of-order-window=12h",
                         "--web.enable-admin-api=true"])
    made.config = config
    made.start().wait_ready()
    yield made
    made.kill()


def send(node, remote_pb2, start_s, name):
    rows = [({"__name__": name, "i": str(i)}, [((start_s + 60 * m) * 1000, float(m)) for m in range(MINUTES)])
            for i in range(20)]
    answer = harness.Writer(remote_pb2, node.url).send(rows)
    assert answer.status == 204, answer.text


def flush(node):
    assert node.post("/api/v1/admin/tsdb/flush").status == 204


def count(node, name, start_s):
    rows = node.query(f"sum(count_over_time({name}[{MINUTES}m]))", start_s + 60 * (MINUTES - 1))
    return int(rows[0]["value"][1]) if rows else 0


def block_times(node):
    """(begin, end) in ms of each block on the disk."""
    names = [path.name for path in (node.data_dir / "blocks" / "anonymous").iterdir()]
    return [tuple(map(int, name.split("-")[:2])) for name in names]


def test_blocks_expire_from_disk_and_answers(node, remote_pb2):
    now_s = int(time.time()) // 60 * 60
    old_s, new_s = now_s - 3 * HOUR, now_s - 20 * 60
    send(node, remote_pb2, old_s, "old")
    send(node, remote_pb2, new_s, "new")
    flush(node)
    assert (count(node, "old", old_s), count(node, "new", new_s)) == (20 * MINUTES, 20 * MINUTES)
    assert any(end <= (now_s - 2 * HOUR) * 1000 for _, end in block_times(node))

    node.config.write_text("storage:\n  retention: 1h\n")
    node.signal(signal.SIGHUP)
    harness.wait_until(lambda: count(node, "old", old_s) == 0, 60, "the end of old samples")
    assert count(node, "new", new_s) == 20 * MINUTES
    edge_ms = (time.time() - HOUR) * 1000
    assert all(end > edge_ms for _, end in block_times(node)) and block_times(node)
    assert node.metric("narthex_ingester_blocks_deleted_total", reason="age") > 0
    assert not [path for path in node.data_dir.rglob("*.gone")]
    end = now_s
    assert node.query_range("old", old_s, end, 60) == []
    names = node.get("/api/v1/label/__name__/values").json["data"]
    assert "new" in names and "old" not in names

    # nothing comes back with the log
    node.kill()
    node.start().wait_ready()
    assert (count(node, "old", old_s), count(node, "new", new_s)) == (0, 20 * MINUTES)


def test_damaged_block_is_refused_and_expires(node, remote_pb2):
    now_s = int(time.time()) // 60 * 60
    old_s, new_s = now_s - 3 * HOUR, now_s - 20 * 60
    send(node, remote_pb2, old_s, "old")
    flush(node)
    send(node, remote_pb2, new_s, "new")
    flush(node)
    assert node.stop() == 0
    edge_ms = (now_s - 2 * HOUR) * 1000
    damaged = [path for path in (node.data_dir / "blocks" / "anonymous").iterdir()
               if int(path.name.split("-")[1]) <= edge_ms]
    assert damaged
    for path in damaged:
        (path / "block.nxb").write_bytes(b"rubbish")
    node.start().wait_ready()
    answer = node.post("/api/v1/query", {"query": "old", "time": str(old_s)})
    assert answer.status == 503 and "damaged block" in answer.json["error"]
    assert count(node, "new", new_s) == 20 * MINUTES

    node.config.write_text("storage:\n  retention: 1h\n")
    node.signal(signal.SIGHUP)
    harness.wait_until(lambda: not any(path.exists() for path in damaged), 60, "the end of damaged blocks")
    assert node.query("old", old_s) == []
    assert count(node, "new", new_s) == 20 * MINUTES
    assert node.metric("narthex_ingester_blocks_deleted_total", reason="damaged") == len(damaged)
    assert "damaged block is beyond the retention: removed" in node.log


def test_damage_in_the_log_is_told_and_costs_only_itself(node, remote_pb2):
    start_s = int(time.time()) // 60 * 60 - 20 * 60
    for part in range(20):
        send(node, remote_pb2, start_s, f"part_{part}")
    node.kill()
    logs = sorted(node.data_dir.rglob("*.wal"), key=lambda path: path.stat().st_size)
    content = bytearray(logs[-1].read_bytes())
    middle = len(content) // 2
    for at in range(middle, middle + 64):
        content[at] ^= 0xff
    logs[-1].write_bytes(content)
    node.start().wait_ready()
    line = [line for line in node.log.splitlines() if "acknowledged are missing here" in line]
    assert len(line) == 1 and "level=error" in line[0], node.log[-3000:]
    told = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)(?= |$)", line[0])}
    assert told["unreadable_spots"] >= 1 and told["unreadable_bytes"] > 0 and told["samples_in_them_about"] > 0
    here = sum(count(node, f"part_{part}", start_s) for part in range(20))
    missing = 20 * 20 * MINUTES - here
    guess = told["samples_in_them_about"] + told["samples_of_unknown_series"]
    assert 0 < missing <= 2 * guess and missing * 20 >= guess, (missing, told)
    send(node, remote_pb2, start_s, "after")
    assert count(node, "after", start_s) == 20 * MINUTES
