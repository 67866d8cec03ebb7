"""A target server for tests of scraping: pages by path, which a test changes as it goes."""

import base64
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page:
    """What a path answers. A body of bytes, or a function that is given the request's path with its query."""

    def __init__(self, body, status=200, content_type="text/plain; version=0.0.4", delay_s=0.0, auth=None):
        self.body = body
        self.status = status
        self.content_type = content_type
        self.delay_s = delay_s
        self.auth = auth


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TargetServer:
    def __init__(self):
        self.pages = {}
        self.seen = {}  # (path, client) -> requests answered
        self.headers = {}
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = self.path.partition("?")[0]
                with outer.lock:
                    page = outer.pages.get(path)
                    key = (path, self.headers.get("User-Agent", "").split("/")[0].lower())
                    outer.seen[key] = outer.seen.get(key, 0) + 1
                    outer.headers[key] = dict(self.headers)
                if page is None:
                    self.answer(404, b"no such page\n", "text/plain")
                elif page.auth and self.headers.get("Authorization") != page.auth:
                    self.answer(401, b"who are you\n", "text/plain")
                else:
                    time.sleep(page.delay_s)
                    body = page.body(self.path) if callable(page.body) else page.body
                    self.answer(page.status, body.encode() if isinstance(body, str) else body, page.content_type)

            def answer(self, status, body, content_type):
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", content_type)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def set(self, path, body, **kwargs):
        with self.lock:
            self.pages[path] = Page(body, **kwargs)

    def count(self, path, client):
        with self.lock:
            return self.seen.get((path, client), 0)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
