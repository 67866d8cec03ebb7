"""What each replica holds by itself, and what it says of itself."""

import time

import harness

WINDOW_MS = 300_000


def load_internal():
    return harness.load_protos("internal_pb2")


def digests(pb, node, until_ms, partitions=512):
    """{(tenant, partition, window): (count, hash)} of what a node holds."""
    request = pb.DigestsRequest()
    setattr(request, "from", -WINDOW_MS * 10**6)
    request.until = until_ms
    request.bucket_ms = WINDOW_MS
    request.now_ms = int(time.time() * 1000)
    answer = harness.http(
        "POST", node.url + "/internal/v1/digests", request.SerializeToString(),
        {"Content-Type": "application/x-protobuf", "X-Narthex-Cluster": f"narthex/{partitions}/3"},
    )
    assert answer.status == 200, answer.text
    response = pb.DigestsResponse()
    response.ParseFromString(answer.body)
    return {
        (rows.tenant, p, b): (n, h)
        for rows in response.tenants
        for p, b, n, h in zip(rows.partitions, rows.buckets, rows.counts, rows.hashes)
    }


def status_of(node):
    return node.get("/api/v1/repair").json


def is_whole(node):
    status = status_of(node)
    return (status["state"] == "ACTIVE" and not status["catchingUp"] and status["partitionsNotWhole"] == 0
            and status["differingWindows"] == 0)


def wait_equal(pb, cluster, until_ms, timeout_s=120, partitions=512):
    """Until all ingesters hold the same of the time before."""
    last = {}

    def equal():
        found = [digests(pb, node, until_ms, partitions) for node in cluster.ingesters]
        last["counts"] = [sum(n for n, _ in d.values()) for d in found]
        return all(d == found[0] for d in found)

    try:
        harness.wait_until(equal, timeout_s, "equal digests")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last['counts']} samples") from None


def wait_zones_equal(pb, cluster, until_ms, timeout_s=120):
    """Until each zone holds the same, all of it, once: the owners of a partition are one a zone."""
    last = {}

    def equal():
        found = {}
        for node in cluster.ingesters:
            rows = found.setdefault(cluster.zones[node.name], {})
            mine = digests(pb, node, until_ms)
            assert not rows.keys() & mine.keys(), "two replicas in one zone"
            rows.update(mine)
        last["counts"] = {zone: sum(n for n, _ in rows.values()) for zone, rows in found.items()}
        first, *others = found.values()
        return all(rows == first for rows in others)

    try:
        harness.wait_until(equal, timeout_s, "equal zones")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last.get('counts')} samples") from None
    return last["counts"]
