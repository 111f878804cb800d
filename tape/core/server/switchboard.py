"""The server's sockets: accepts, receives whole frames, sends what has queued up, never waits for one peer."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading

from tape.core.kernel.errors import EnvironmentTrouble
from tape.core.server.peers import Connection
from tape.core.wire import Frame

Arrival = tuple[Connection, list[Frame]]


class Switchboard:
    """One thread calls everything but `wake`, which any thread may call."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._selector = selectors.DefaultSelector()
        self._listener = _listen(socket_path)
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._connections: set[Connection] = set()
        self._open = True
        self._lock = threading.Lock()

    def wake(self) -> None:
        """Ends the current `wait`."""
        with self._lock, contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            if self._open:
                os.write(self._wake_write, b"x")

    def wait(self, patience: float | None) -> list[Arrival]:
        """What has arrived, once anything has or `patience` seconds are over. Ended connections are hung up."""
        arrivals: list[Arrival] = []
        for key, events in self._selector.select(patience):
            if key.fd == self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    while os.read(self._wake_read, 65536):
                        pass
            elif key.fileobj is self._listener:
                self._accept()
            else:
                arrivals += self._serve(key.data, events)
        return arrivals

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:
            return  # the caller is gone again
        connection = Connection(link)
        self._selector.register(link, selectors.EVENT_READ, connection)
        self._connections.add(connection)

    def _serve(self, connection: Connection, events: int) -> list[Arrival]:
        if events & selectors.EVENT_WRITE:
            self._flush(connection)
        if not events & selectors.EVENT_READ:
            return []
        frames = connection.receive()
        if frames is None:
            self.hang_up(connection)
            return []
        return [(connection, frames)] if frames else []

    def flush(self) -> None:
        """Sends what has queued up for everybody, as far as their sockets take it."""
        for connection in [connection for connection in self._connections if connection.out]:
            self._flush(connection)

    def _flush(self, connection: Connection) -> None:
        events = selectors.EVENT_READ if connection.flush() else selectors.EVENT_READ | selectors.EVENT_WRITE
        if self._selector.get_key(connection.socket).events != events:
            self._selector.modify(connection.socket, events, connection)

    def hang_up(self, connection: Connection) -> None:
        """Ends a connection; its worker, if any, may dial again."""
        if not connection.closed:
            self._selector.unregister(connection.socket)
            self._connections.discard(connection)
            connection.close()
        if connection.worker is not None and connection.worker.connection is connection:
            connection.worker.connection = None

    def close(self) -> None:
        with self._lock:
            self._open = False
        for connection in self._connections:
            connection.close()
        self._listener.close()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def _listen(path: str) -> socket.socket:
    """The socket, readable by its owner only. A left-over one is taken away: the lock says that nobody serves it."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
    except OSError as error:
        listener.close()
        raise EnvironmentTrouble(f"cannot listen at {path}: {error.strerror}; is its folder writable?") from None
    listener.listen(64)
    listener.setblocking(False)
    return listener
