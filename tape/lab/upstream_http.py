"""The stand-in's transport: as much of HTTP/1.1 as JSON clients use, on a thread per connection.

Not `http.server`: that loads mail and TLS code, which takes longer than all the rest of the stand-in's start, and it
offers no clean way to hang up without an answer.
"""

from __future__ import annotations

import json
import socketserver
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

BODY_LIMIT_BYTES = 1 << 20
DRAIN_LIMIT_BYTES = 16 << 20
LINE_LIMIT_BYTES = 16 << 10
HEADER_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read whole. `segments` are the path's parts, decoded; header names are in lower case."""

    method: str
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `document` is sent as JSON."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Refusal(Exception):
    """Ends a request with an error answer: `{"error": message}`."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.response = Response(status, {"error": message}, headers or {})


# None hangs up without an answer.
Answer = Callable[[Request], Response | None]


class HttpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on 127.0.0.1 from construction on; `serve_forever` answers. Raises OSError if the port is taken."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int, answer: Answer) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", port), _Connection)

    @property
    def port(self) -> int:
        """The port in use, also where 0 asked for any."""
        return int(self.server_address[1])


class _Connection(socketserver.StreamRequestHandler):
    server: HttpServer  # pyright: ignore[reportIncompatibleVariableOverride]
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            while self._exchange():
                pass
        except ConnectionError:
            return  # the client is gone; what was acted stays acted, as with any bank

    def _exchange(self) -> bool:
        """Read and answer one request; False ends the connection."""
        try:
            request = _read_request(self.rfile, self.wfile)
        except Refusal as refusal:
            self._send(refusal.response, keep_alive=False)
            return False
        if request is None:
            return False
        try:
            response = self.server.answer(request)
        except Refusal as refusal:
            response = refusal.response
        if response is None:
            return False
        self._send(response, keep_alive=request.keep_alive)
        return request.keep_alive

    def _send(self, response: Response, *, keep_alive: bool) -> None:
        body = json.dumps(response.document).encode() + b"\n"
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "keep-alive" if keep_alive else "close",
            **response.headers,
        }
        lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        lines.extend(f"{name}: {value}" for name, value in headers.items())
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"  # a fault may ask for a status that nobody has named


def _read_request(stream: BufferedIOBase, out: BufferedIOBase) -> Request | None:
    """The next request, or None if the client hung up, also in the middle of one: half a request never acts."""
    line = _read_line(stream)
    if not line:
        return None
    parts = line.split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise Refusal(400, "not an HTTP/1.1 request")
    method, target, version = parts
    headers = _read_headers(stream)
    if headers is None:
        return None
    body = _read_body(stream, out, headers)
    if body is None:
        return None
    try:
        url = urlsplit(target)
        query = parse_qsl(url.query, keep_blank_values=True)
    except ValueError as error:
        raise Refusal(400, f"not a path that can be read: {error}") from error
    connection = headers.get("connection", "").lower()
    return Request(
        method=method,
        segments=tuple(unquote(segment) for segment in url.path.removeprefix("/").split("/")),
        query=tuple(query),
        headers=headers,
        body=body,
        keep_alive=connection == "keep-alive" if version == "HTTP/1.0" else connection != "close",
    )


def _read_line(stream: BufferedIOBase) -> str | None:
    """One line without its end; None if the client hung up before the end of it."""
    line = stream.readline(LINE_LIMIT_BYTES)
    if not line.endswith(b"\n"):
        if len(line) >= LINE_LIMIT_BYTES:
            raise Refusal(431, f"a header line is longer than {LINE_LIMIT_BYTES} bytes; send a shorter one")
        return None
    text = line.rstrip(b"\r\n")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")  # some clients send header values so


def _read_headers(stream: BufferedIOBase) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    for _ in range(HEADER_LIMIT):
        line = _read_line(stream)
        if line is None:
            return None
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Refusal(400, "a header line is not `name: value`")
        if headers.setdefault(name.lower(), value.strip()) != value.strip() and name.lower() in _SINGLE:
            raise Refusal(400, f"{name} was sent twice with different values; send one")
    raise Refusal(431, f"more than {HEADER_LIMIT} headers; send fewer")


_SINGLE = ("content-length", "idempotency-key", "x-business-key", "x-fencing-token")


def _read_body(stream: BufferedIOBase, out: BufferedIOBase, headers: Mapping[str, str]) -> bytes | None:
    if "transfer-encoding" in headers:
        raise Refusal(411, "send the body with Content-Length; a chunked body is not read")
    stated = headers.get("content-length", "0")
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 18):
        raise Refusal(400, "Content-Length is not a number")
    length = int(stated)
    asks_first = length > 0 and headers.get("expect", "").lower() == "100-continue"
    if length > BODY_LIMIT_BYTES:
        if not asks_first:
            _drain(stream, min(length, DRAIN_LIMIT_BYTES))
        raise Refusal(413, f"the body has {length} bytes; at most {BODY_LIMIT_BYTES} are taken")
    if asks_first:
        out.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = stream.read(length)
    return body if len(body) == length else None


def _drain(stream: BufferedIOBase, length: int) -> None:
    """Read a body away: closing on unread bytes resets the connection, and the client would never see the answer."""
    while length > 0 and (chunk := stream.read(min(length, 1 << 16))):
        length -= len(chunk)
