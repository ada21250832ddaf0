"""A web server on the loopback address, with the virtues and vices of real ones."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What lies on the server by name, and what was asked of it: path, range, and the bytes that were sent.

    The first part of a path says how the server behaves: /range/NAME, /plain/NAME, ….
    """

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    busy: int = 0
    address: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def sent(self):
        return sum(size for _, _, size in self.asked)


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Tests read what was asked from the site."""

    def do_GET(self):
        way, _, name = self.path.partition("?")[0].strip("/").partition("/")
        content = self.server.site.files.get(name)
        codes = {"deny": 403, "broken": 500}
        if way == "silent":
            self.server.site.ended.wait(20)
        elif way in codes or content is None:
            self._send(codes.get(way, 404), b"no")
        elif self.server.site.busy > 0:
            self.server.site.busy -= 1
            self._send(503, b"busy")
        else:
            getattr(self, f"_{way}")(content)

    def _range(self, content):
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not found:
            return self._send(200, content)
        start, stop = int(found[1]), min(int(found[2]) + 1, len(content))
        return self._send(206, content[start:stop], {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"})

    def _plain(self, content):
        self._send(200, content)

    def _fickle(self, content):
        """Ranges at first, everything once the reading begins."""
        (self._range if self.headers.get("Range") == "bytes=0-0" else self._plain)(content)

    def _short(self, content):
        self.close_connection = True
        self._send(200, content[: len(content) // 2], {"Content-Length": str(len(content))})

    def _chunked(self, content):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(OSError):
            for start in range(0, len(content), 1000):
                piece = content[start : start + 1000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        self.server.site.asked.append((self.path, self.headers.get("Range", ""), len(content)))

    def _send(self, code, content, headers=()):
        self.server.site.asked.append((self.path, self.headers.get("Range", ""), len(content)))
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        # Who wanted no more than the head has hung up.
        with suppress(OSError):
            self.wfile.write(content)


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients that hang up are no fault."""


@contextmanager
def serving(files):
    """Serve `files` while the `with` lasts."""
    site = Site(files)
    with Quiet(("127.0.0.1", 0), Answering) as server:
        server.site = site
        site.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.ended.set()
            server.shutdown()
            thread.join(10)
