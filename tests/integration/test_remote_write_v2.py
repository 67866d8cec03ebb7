"""Remote write 2.0 beyond the receiver compliance list (test_remote_write_receiver.py)."""

import struct

import pytest

import rw2
from rw2 import TRACE, Request, accept, named, refuse

pytest.importorskip("snappy")


@pytest.fixture(scope="module")
def v2():
    return rw2.load()


@pytest.fixture
def node(single):
    return single


def test_exemplars_of_a_known_series_travel_alone(node, v2):
    request = Request(v2)
    request.add(named("rw2_alone_total"), exemplars=[(TRACE, 1)])  # before its series
    request.add(named("rw2_alone_total"), [1])
    accept(node, request, samples=1, exemplars=1)
    request = Request(v2)
    request.add(named("rw2_alone_total"), exemplars=[({"trace_id": "another"}, 2)])
    accept(node, request, exemplars=1)
    span = {"start": request.now / 1000 - 60, "end": request.now / 1000 + 60}
    answer = node.get("/api/v1/query_exemplars", {"query": "rw2_alone_total", **span})
    assert len(answer.json["data"][0]["exemplars"]) == 2


def test_references_that_do_not_hold(node, v2):
    request = Request(v2)
    request.add(named("rw2_good"), [1])
    request.add(named("rw2_odd"), [1]).labels_refs.append(1)
    request.add(named("rw2_wild"), [1]).labels_refs.extend([1, 4000])
    refuse(node, request, "odd number of label references", samples=1)
    request = Request(v2)
    row = request.add(named("rw2_good"), [2], exemplars=[(TRACE, 1)], at=10)
    row.exemplars[0].labels_refs.append(1)
    refuse(node, request, "exemplar: odd number", samples=1)


def test_partial_write_tells_what_was_written(node, v2):
    request = Request(v2)
    request.add(named("rw2_conflict"), [1, 2, 3])
    accept(node, request, samples=3)
    for i, sample in enumerate(request.message.timeseries[0].samples):
        sample.value = 1 if i == 0 else 10
    request.add(named("rw2_beside"), [1], exemplars=[(TRACE, 1)])
    refuse(node, request, "duplicate sample for timestamp", samples=2, exemplars=1)


def test_stale_marker_is_bit_exact(node, v2):
    request = Request(v2)
    request.add(named("rw2_stale"), [1, struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]])
    accept(node, request, samples=2)
    assert node.query("rw2_stale", request.now / 1000 + 1) == []
    assert len(node.query("rw2_stale[1m]", request.now / 1000 + 1)[0]["values"]) == 1
