"""An OpenTelemetry collector for tests: keeps what it is sent, over OTLP/HTTP in JSON."""

import http.server
import json
import threading


class Collector(http.server.ThreadingHTTPServer):
    """Keeps what it is sent; answers the statuses it is given, then 200."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.sent, self.answers = [], []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/otel/"

    def bodies(self, path):
        return [json.loads(body) for where, body, _ in self.sent if where == f"/otel{path}"]


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.sent.append((self.path, body, dict(self.headers)))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass
