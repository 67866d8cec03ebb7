import os
import socket

import pytest

import harness


@pytest.fixture(scope="session")
def remote_pb2():
    return harness.load_protos()


def pytest_configure(config):
    if not harness.NARTHEX.exists():
        raise pytest.UsageError(f"{harness.NARTHEX} is not built")
    socket.setdefaulttimeout(60)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ.pop(variable, None)


@pytest.fixture
def cluster(tmp_path):
    made = harness.Cluster(tmp_path).start()
    yield made
    try:
        made.stop()
    finally:
        made.kill()


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """`narthex all`, shared by the tests of a module."""
    (port,) = harness.free_ports(1)
    node = harness.Node("all", "single", port, tmp_path_factory.mktemp("single"),
                        ["--storage.retention=10y"])
    node.start().wait_ready()
    yield node
    try:
        assert node.stop() == 0, node.log[-3000:]
    finally:
        node.kill()
