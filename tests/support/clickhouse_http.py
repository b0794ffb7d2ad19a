"""ClickHouse's HTTP interface in front of the engine in this process (chdb), as far as clickhouse-connect uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_USER = ("X-ClickHouse-User", "X-ClickHouse-Key")


class Interface:
    """port: on 127.0.0.1. password: others are refused. seen: the queries, in order."""

    def __init__(self, directory: Path, password: str) -> None:
        import chdb

        self.seen: list[str] = []
        self._directory = directory
        self._engine = chdb.connect(str(directory))
        self._password = password
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer._answer(self)

            do_GET = do_POST  # noqa: N815  as http.server names it

            def log_message(self, *_given: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._engine.close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = _body(request)
        given = dict(parse_qsl(urlsplit(request.path).query))
        try:
            if not self._is_allowed(request, given):
                raise PermissionError("Code: 516. DB::Exception: Authentication failed")
            code, answer = 200, self._query(given, body)
        except Exception as err:  # noqa: BLE001  as the server: whatever went wrong is told
            code, answer = 500, str(err).encode()
        request.send_response(code)
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def _is_allowed(self, request: BaseHTTPRequestHandler, given: dict[str, str]) -> bool:
        import base64

        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        password = base64.b64decode(basic).decode().partition(":")[2] if basic else given.get("password", "")
        return self._password in (password, request.headers.get(_USER[1]))

    def _query(self, given: dict[str, str], body: bytes) -> bytes:
        if "query" not in given and body.startswith(b"INSERT"):  # the statement, then what is inserted
            head, _line, body = body.partition(b"\n")
            query = head.decode()
        else:
            query = given.get("query") or body.decode()
        with self._lock:
            self.seen.append(query)
            for name, value in given.items():
                if name.startswith("param_"):
                    self._engine.query(f"SET {name} = '{value}'")
            if query.lstrip().upper().startswith("INSERT"):
                file = self._directory / "insert.native"
                file.write_bytes(body)
                begin = query.upper().index("FORMAT")
                columns = query[query.index("(") + 1 : query.index(")")]
                query = f"{query[:begin]} SELECT {columns} FROM file('{file}', Native)"
            answer: Any = self._engine.query(query, "TabSeparated")
            return bytes(answer.bytes() or b"")


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding") == "chunked":
        parts = []
        while size := int(request.rfile.readline(), 16):
            parts.append(request.rfile.read(size))
            request.rfile.readline()
        request.rfile.readline()
        body = b"".join(parts)
    else:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
    match request.headers.get("Content-Encoding"):
        case "lz4":
            import lz4.frame

            return bytes(lz4.frame.decompress(body))
        case "zstd":
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


@contextmanager
def interface(directory: Path, password: str) -> Iterator[Interface]:
    made = Interface(directory, password)
    try:
        yield made
    finally:
        made.close()
