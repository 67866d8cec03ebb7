"""An HTTP proxy between a sender of remote write and a receiver: it keeps what passes, and does to it what a test says."""

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Passed:
    def __init__(self, path, headers, body):
        self.at = time.monotonic()
        self.path, self.headers, self.body = path, headers, body
        self.status = None  # of the receiver's answer
        self.answer = b""


class FaultProxy:
    """POST /<name>/<path> goes to <path> of the receiver as tenant <name>. faults[name](n, passed) is asked before the n-th
    request of that name (from 0): None lets it through, a number is answered in the receiver's place, a function is called
    with (handler, forward) and does what it likes."""

    def __init__(self, port):
        self.receiver = port
        self.faults = {}
        self.passed = {}
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                name, _, path = self.path.lstrip("/").partition("/")
                body = self.rfile.read(int(self.headers["Content-Length"]))
                passed = Passed("/" + path, {k.lower(): v for k, v in self.headers.items()}, body)
                with outer.lock:
                    earlier = outer.passed.setdefault(name, [])
                    n = len(earlier)
                    earlier.append(passed)
                fault = outer.faults.get(name)
                action = fault(n, passed) if fault else None
                forward = lambda: outer.forward(name, passed)
                try:
                    if callable(action):
                        action(self, forward)
                    elif action is None:
                        self.answer(*forward())
                    else:
                        self.answer(action, b"what a fault says\n")
                except OSError:
                    self.close_connection = True

            def answer(self, status, body=b"", headers=()):
                self.send_response(status)
                for key, value in headers:
                    self.send_header(key, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forward(self, tenant, passed):
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver, timeout=30)
        try:
            headers = {k: v for k, v in passed.headers.items() if k not in ("host", "connection", "content-length")}
            connection.request("POST", passed.path, passed.body, {**headers, "X-Scope-OrgID": tenant})
            answer = connection.getresponse()
            passed.status, passed.answer = answer.status, answer.read()
            kept = [(k, v) for k, v in answer.getheaders()
                    if k.lower().startswith(("x-prometheus", "retry-after", "content-type"))]
            return answer.status, passed.answer, kept
        finally:
            connection.close()

    def of(self, name):
        with self.lock:
            return list(self.passed.get(name, ()))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
