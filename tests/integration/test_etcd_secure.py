"""An etcd that speaks TLS only, wants a certificate of its clients, and a user and a password."""

import json
import shutil
import ssl
import subprocess
import urllib.request

import pytest

import harness
from etcd_cluster import EtcdCluster
from file_cluster import members

pytestmark = pytest.mark.skipif(harness.missing_program("etcd", "openssl") is not None,
                                reason="etcd-server or openssl is not installed")
PASSWORD = 'quote " and umlaut ü'


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(work):
    """A CA, and one certificate for servers and clients. It has no common name, which etcd would take for a user."""
    extensions = work / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", work / "ca.key", "-out", work / "ca.pem",
            "-days", 2, "-subj", "/CN=test-ca")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", work / "node.key", "-out", work / "node.csr",
            "-subj", "/O=test")
    openssl("x509", "-req", "-in", work / "node.csr", "-CA", work / "ca.pem", "-CAkey", work / "ca.key",
            "-CAcreateserial", "-out", work / "node.pem", "-days", 2, "-extfile", extensions)


class SecureEtcd:
    def __init__(self, work):
        make_certificates(work)
        self.client, peer = harness.free_ports(2)
        self.url = f"https://127.0.0.1:{self.client}"
        self.context = ssl.create_default_context(cafile=work / "ca.pem")
        self.context.load_cert_chain(work / "node.pem", work / "node.key")
        tls = [f"--cert-file={work / 'node.pem'}", f"--key-file={work / 'node.key'}",
               f"--trusted-ca-file={work / 'ca.pem'}", "--client-cert-auth"]
        self.process = harness.Process("etcd", [
            shutil.which("etcd"), "--name=e0", f"--data-dir={work / 'etcd'}", f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=e0=http://127.0.0.1:{peer}", "--auth-token-ttl=2", *tls], work)

    def ask(self, path, body):
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10, context=self.context) as answer:
            return json.loads(answer.read())

    def serves(self):
        try:
            return self.ask("/v3/maintenance/status", {})
        except OSError:
            return False

    def start(self):
        self.process.start()
        harness.wait_until(self.serves, what=f"etcd: {self.process.log[-2000:]}")
        for name, password in (("root", "root"), ("narthex", PASSWORD)):
            self.ask("/v3/auth/user/add", {"name": name, "password": password})
            self.ask("/v3/auth/role/add", {"name": name})
            self.ask("/v3/auth/user/grant", {"user": name, "role": name})
        # base64: from /narthex/ to /narthex0
        self.ask("/v3/auth/role/grant", {"name": "narthex", "perm": {
            "permType": "READWRITE", "key": "L25hcnRoZXgv", "range_end": "L25hcnRoZXgw"}})
        self.ask("/v3/auth/enable", {})
        return self


@pytest.fixture
def etcd(tmp_path):
    made = SecureEtcd(tmp_path)
    try:
        yield made.start()
    finally:
        made.process.kill()


def secure_cluster(tmp_path, etcd, password=PASSWORD):
    cluster = EtcdCluster(tmp_path, etcd.url)
    config = tmp_path / f"narthex-{len(password)}.yml"
    config.write_text(json.dumps({"ring": {
        "etcd-ca": str(tmp_path / "ca.pem"), "etcd-cert": str(tmp_path / "node.pem"),
        "etcd-key": str(tmp_path / "node.key"), "etcd-user": "narthex", "etcd-password": password}},
        ensure_ascii=False))
    cluster.shared.append(f"--config={config}")
    for node in cluster.nodes:
        node.argv.append(f"--config={config}")
    return cluster


def test_members_find_each_other_and_tokens_are_renewed(tmp_path, etcd, remote_pb2):
    cluster = secure_cluster(tmp_path, etcd)
    try:
        cluster.start()
        shown = cluster.distributor.get("/api/v1/status/config").json["data"]["yaml"]
        assert "umlaut" not in shown and "<secret>" in shown
        # a token lives for two seconds without use: the list is followed all the same
        for name in ("ingester-4", "ingester-5"):
            added = cluster.ingester(name)
            added.start()
            added.wait_ready()
            cluster.wait_members(len(members(added)))
        assert len(members(cluster.querier)) == 5
        writer = harness.Writer(remote_pb2, cluster.distributor.url)
        assert writer.send([({"__name__": "secure"}, [(1_700_000_000_000, 1.0)])]).status == 204
    finally:
        cluster.kill()


def run(node):
    done = subprocess.run(node.argv, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_what_is_wrong_is_said(tmp_path, etcd):
    node = secure_cluster(tmp_path, etcd, password="wrong").ingesters[0]
    status, text = run(node)
    assert status != 0 and "authentication failed" in text, text
    node.argv = [a for a in node.argv if not a.startswith("--config=")]
    status, text = run(node)
    assert status != 0 and "certificate" in text.lower(), text
    node.argv.append("--ring.etcd-cert=/nowhere")
    status, text = run(node)
    assert status == 2 and "ring.etcd-cert, ring.etcd-key: expected both or neither" in text, text
