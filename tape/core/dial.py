"""Calling a server: its socket is looked at before it is trusted, and an operator's question gets one answer."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from tape.core import wire
from tape.core.kernel.errors import ServerUnavailable
from tape.core.wire import Frame

_CHUNK = 1 << 18


class NoServer(ServerUnavailable):
    """Nobody listens at the socket: nothing was sent."""


def open_socket(path: str, timeout: float = 5.0) -> socket.socket:
    """Connects, after a look at the socket's owner and mode. Raises ServerUnavailable."""
    try:
        for place in (Path(path), Path(path).parent):
            found = place.stat()
            if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise ServerUnavailable(f"{place} is not owned by you alone: not connecting to it")
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(timeout)
        link.connect(path)
    except OSError as error:
        raise NoServer(f"no server answers at {path} ({error.strerror or error}): start `tape dev`") from None
    link.settimeout(None)
    return link


def ask(path: str, frame: Frame, timeout: float | None = 30.0) -> Frame:
    """One question of an operator's command on a connection of its own; without a `timeout` (seconds) it waits for as
    long as the server lives. Raises ServerUnavailable."""
    with open_socket(path) as link:
        link.settimeout(timeout)
        decoder = wire.Decoder()
        try:
            link.sendall(wire.encode({"t": "hello", "role": "operator"}) + wire.encode(frame))
            while True:
                data = link.recv(_CHUNK)
                if not data:
                    raise ServerUnavailable("the server hung up before it answered; see `tape status`, then try again")
                for reply in decoder.feed(data):
                    if reply["t"] == "answer":
                        return reply
        except OSError as error:
            raise ServerUnavailable(
                f"the server does not answer ({error}); see `tape status`, then try again"
            ) from None
