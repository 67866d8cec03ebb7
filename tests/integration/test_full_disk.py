"""A real process on a small disk that fills up: writes get 503 until there is space, nothing acknowledged is lost, and
neither filling up nor recovering needs a hand. The disk is a tmpfs of its own, which takes the right to mount one."""

import os
import shutil
import subprocess
import time

import pytest

import harness

DISK_BYTES = 24 << 20
SERIES = 2_000
STEP_MS = 10_000


@pytest.fixture
def disk(tmp_path):
    """The node's data directory, on a disk of its own."""
    path = tmp_path / "data-all"
    path.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a tmpfs needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", path],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


class Load:
    """One sample a series and round, all different; rounds that were refused are sent again as they were."""

    def __init__(self, node, remote_pb2):
        self.writer = harness.Writer(remote_pb2, node.url)
        self.start_ms = int(time.time() * 1000) - 6_000_000
        self.acked = 0

    def send(self):
        k = self.acked
        answer = self.writer.send([({"__name__": "full", "shard": str(i), "job": "disk"},
                                    [(self.start_ms + k * STEP_MS, i * 0.1 + k * 1.7)]) for i in range(SERIES)])
        self.acked += answer.status == 204
        return answer

    def until(self, status, timeout_s):
        """Sends until that answer comes; every other one may only be 204 or 503."""
        end = time.monotonic() + timeout_s
        while True:
            answer = self.send()
            assert answer.status in (204, 503), f"{answer.status} {answer.text}"
            if answer.status == status:
                return answer
            assert time.monotonic() < end, f"no {status} within {timeout_s} s"

    def check(self, node):
        """What was acknowledged is there, in every series; of what was not, at most the round that was refused last."""
        at = (self.start_ms + self.acked * STEP_MS) / 1000
        span = f"{(self.acked + 2) * STEP_MS // 1000}s"
        for function, expected in (("min", self.acked), ("max", self.acked)):
            (found,) = node.query(f"{function}(count_over_time(full[{span}]))", at)
            count = int(found["value"][1])
            assert expected <= count <= expected + 1, f"{function} {count}, acknowledged {self.acked}"
        (found,) = node.query(f"count(count_over_time(full[{span}]))", at)
        assert int(found["value"][1]) == SERIES
        last = (self.start_ms + (self.acked - 1) * STEP_MS) / 1000
        for i in (0, 17, SERIES - 1):
            (row,) = node.query_range(f'full{{shard="{i}"}}', self.start_ms / 1000, last, STEP_MS // 1000)
            assert [float(v) for _, v in row["values"]] == [i * 0.1 + k * 1.7 for k in range(self.acked)]


def fill(disk):
    """Takes what is left of the disk; the ballast's path."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(bytes(65536)) == 65536:
                pass
        except OSError:
            pass
    return ballast


def test_full_disk_answers_503_and_recovers_by_itself(tmp_path, disk, remote_pb2):
    (port,) = harness.free_ports(1)
    flags = ["--storage.wal-segment-size=1MiB", "--storage.retention=10y", "--workers=2"]
    node = harness.Node("all", "all", port, tmp_path, flags).start()
    try:
        node.wait_ready()
        load = Load(node, remote_pb2)
        for _ in range(40):
            load.until(204, 20)
        for _ in range(2):
            ballast = fill(disk)
            answer = load.until(503, 60)
            assert answer.headers["Retry-After"]
            for _ in range(5):
                assert load.send().status == 503
            # it lives, says so, and answers queries
            assert node.get("/-/healthy").status == 200
            load.check(node)
            ballast.unlink()
            load.until(204, 30)
            for _ in range(20):
                load.until(204, 20)
            load.check(node)
        # the same with a death in between: started on a disk that is full, it serves what it has
        ballast = fill(disk)
        load.until(503, 60)
        node.kill()
        fill(disk)
        node.start().wait_ready()
        load.check(node)
        assert load.send().status == 503
        ballast.unlink()
        load.until(204, 30)
        for _ in range(20):
            load.until(204, 20)
        load.check(node)
        node.kill()
        node.start().wait_ready()
        load.check(node)
        assert node.stop() == 0, node.log[-3000:]
    finally:
        node.kill()
