"""A file server on this machine that fails on purpose, one fault to a path:
`address("404")`, `address("stall")`...

with FaultServer({"a.gz": content}) as server:
    server.address("truncate") + "a.gz"     # a mirror that stops in the middle
    server.log                              # the requests so far: [("truncate",
    "a.gz"), ...]
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

FAULTS = (
    "ok",
    "truncate",
    "short",
    "corrupt",
    "login",
    "stall",
    "silent",
    "hangup",
    "403",
    "404",
    "500",
    "flaky",
    "encodes",
)


class FaultServer:
    """Serves `files` (name -> content) under http://127.0.0.1:PORT/FAULT/NAME, each
    fault as its name says.

    ok        the file
    truncate  announces the whole length, sends half and closes
    short     announces half the length and sends half: a truncation that only the hash
    can see corrupt   one byte changed login     a web page in place of the file, with
    status 200 stall     sends half, then nothing, the connection left open silent
    never answers hangup    closes the connection before any answer 403, 404, 500   that
    status flaky     500 at the first request for a file, the file from then on encodes
    offers the packed file as an encoding of the unpacked one: clients that accept gzip
    unpack it on arrival
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.log: list[tuple[str, str]] = []
        self.stalled = threading.Event()  # half of a file has been sent
        # lets the stalled answers end when the server closes
        self._released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fault, name = self.path.strip("/").split("/", 1)
                outer.log.append((fault, name))
                outer._answer(self, fault, name)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # many may call at once
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def address(self, fault: str) -> str:
        assert fault in FAULTS, fault
        return f"http://127.0.0.1:{self._server.server_address[1]}/{fault}/"

    def __enter__(self) -> "FaultServer":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler, fault: str, name: str) -> None:
        content = self.files.get(name)
        handler.close_connection = True
        if fault == "hangup":
            return
        if fault == "silent":
            self._released.wait(30)
            return
        if fault == "flaky" and self.log.count((fault, name)) == 1:
            fault = "500"
        if fault.isdigit() or content is None:
            handler.send_error(int(fault) if fault.isdigit() else 404)
            return
        half = content[: len(content) // 2]
        if fault == "corrupt":
            content = half + bytes([content[len(half)] ^ 1]) + content[len(half) + 1 :]
        elif fault == "login":
            content = b"<html><title>Please log in to use this network</title></html>"
        elif fault == "short":
            content = half
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        if fault == "encodes" and "gzip" in handler.headers.get("Accept-Encoding", ""):
            handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(half if fault in ("truncate", "stall") else content)
        handler.wfile.flush()
        if fault == "stall":
            self.stalled.set()
            self._released.wait(30)
