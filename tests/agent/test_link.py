"""The agent's end of the socket: what is unanswered is sent again, what is lost too long ends the process."""

from __future__ import annotations

import asyncio
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.clock import ManualClock
from tape.core.kernel.errors import ServerUnavailable
from tape.core.sdk import client
from tape.core.sdk.client import Link
from tape.core.wire import Decoder, Frame, encode

HELLO: Frame = {"t": "hello", "role": "worker", "nonce": "n", "pid": 1}
SECONDS = 10.0


class Ended(BaseException):
    pass


class Listener:
    """A server's end, by hand, in the same loop."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="tape-")
        self.path = str(Path(self.folder) / "s.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listen()
        self.link: socket.socket | None = None
        self.decoder = Decoder()

    def listen(self) -> None:
        self.socket.bind(self.path)
        Path(self.path).chmod(0o600)
        self.socket.listen(8)
        self.socket.setblocking(False)

    async def accept(self) -> Frame:
        """The next connection's hello."""
        loop = asyncio.get_running_loop()
        self.link, _ = await asyncio.wait_for(loop.sock_accept(self.socket), SECONDS)
        self.decoder = Decoder()
        self.frames: list[Frame] = []
        return await self.next()

    async def next(self) -> Frame:
        loop = asyncio.get_running_loop()
        assert self.link is not None
        while not self.frames:
            data = await asyncio.wait_for(loop.sock_recv(self.link, 1 << 18), SECONDS)
            assert data, "the agent hung up"
            self.frames += self.decoder.feed(data)
        return self.frames.pop(0)

    def send(self, *frames: Frame) -> None:
        assert self.link is not None
        self.link.sendall(b"".join(encode(frame) for frame in frames))

    def hang_up(self) -> None:
        assert self.link is not None
        self.link.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    if made.link is not None:
        made.link.close()
    made.socket.close()


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    why: list[str] = []

    def note(text: str) -> None:
        why.append(text)
        raise Ended(text)

    monkeypatch.setattr(client, "end_own_group", note)
    return why


def boundary(number: int, kind: str = "sample") -> Frame:
    return {"t": kind, "run": "r", "epoch": 1, "n": number}


def ok(number: int) -> Frame:
    return {"t": "ok", "run": "r", "epoch": 1, "n": number}


async def linked(listener: Listener) -> tuple[Link, list[Frame], ManualClock]:
    pushes: list[Frame] = []
    clock = ManualClock()
    link = Link(listener.path, HELLO, clock)
    link.attach(asyncio.get_running_loop(), pushes.append)
    assert await listener.accept() == HELLO
    return link, pushes, clock


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_answers_find_their_frames_and_pushes_the_worker(listener: Listener) -> None:
    link, pushes, _ = await linked(listener)
    answers: list[Frame] = []
    link.request(boundary(1), answers.append)
    link.request(boundary(2), answers.append)
    link.tell({"t": "beat", "silent_us": 0})
    assert [(await listener.next())["t"] for _ in range(3)] == ["sample", "sample", "beat"]
    refused = {**ok(2), "t": "refused", "why": "fenced", "message": "no"}
    listener.send({"t": "arm", "armed": True}, ok(1), refused, ok(1), ok(9))
    while len(answers) < 2:
        await asyncio.sleep(0)
    await turn()
    assert answers == [ok(1), refused], "each once; what nobody asked is dropped"
    assert pushes == [{"t": "arm", "armed": True}]
    link.close()


async def test_after_a_lost_connection_the_unanswered_is_sent_again_in_order(listener: Listener) -> None:
    link, _, _ = await linked(listener)
    link.state = lambda: {"drives": {"r": 1}, "hooks": [], "leaving": False}
    answers: list[Frame] = []
    for number in (1, 2, 3):
        link.request(boundary(number), answers.append)
        await listener.next()
    listener.send(ok(2))
    while not answers:
        await asyncio.sleep(0)
    listener.hang_up()
    hello = await listener.accept()
    assert hello == {**HELLO, "again": True, "drives": {"r": 1}, "hooks": [], "leaving": False}
    assert [(await listener.next())["n"] for _ in range(2)] == [1, 3]
    link.request(boundary(4), answers.append)
    assert (await listener.next())["n"] == 4
    listener.send(ok(1), ok(3), ok(4))
    while len(answers) < 4:
        await asyncio.sleep(0)
    link.close()


async def test_what_is_forgotten_is_not_sent_again(listener: Listener) -> None:
    link, _, _ = await linked(listener)
    link.request(boundary(1), lambda frame: None)
    link.request({**boundary(1), "run": "other"}, lambda frame: None)
    link.forget("r", 1)
    listener.hang_up()
    await listener.accept()
    assert (await listener.next())["run"] == "other"
    link.close()


async def test_a_busy_journal_gets_the_same_frame_a_little_later(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BUSY_SECONDS", 0.0)
    link, _, _ = await linked(listener)
    answers: list[Frame] = []
    link.request(boundary(1), answers.append)
    first = await listener.next()
    listener.send({**ok(1), "t": "busy"})
    assert await listener.next() == first
    listener.send(ok(1), {**ok(1), "t": "busy"})
    while not answers:
        await asyncio.sleep(0)
    await turn()
    assert answers == [ok(1)]
    link.close()


async def test_past_the_window_the_process_ends_itself(
    listener: Listener, ends: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RECONNECT_SECONDS", 0.0)
    link, _, clock = await linked(listener)
    listener.socket.close()
    Path(listener.path).unlink()
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, about: problems.append(about))
    listener.hang_up()
    await turn()
    assert not ends, "within it the server may come back"
    clock.advance(5.1)
    with pytest.raises(Ended):
        link._reconnect()
    assert ends == ["no server: the connection is lost"]
    link.close()


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", struct.pack(">I", 2) + b"[]"])
async def test_bytes_that_are_no_frames_end_the_process(listener: Listener, ends: list[str], data: bytes) -> None:
    link, _, _ = await linked(listener)
    asyncio.get_running_loop().remove_reader(link._socket.fileno())
    assert listener.link is not None
    listener.link.sendall(data)
    with pytest.raises(Ended, match="not for this agent"):
        while True:
            link._read()
    link.close()


async def test_without_a_server_there_is_no_link(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ServerUnavailable):
        Link(str(tmp_path / "s.sock"), HELLO, ManualClock())


async def test_a_closed_link_does_not_dial_again(listener: Listener) -> None:
    link, _, _ = await linked(listener)
    link.close()
    link.tell({"t": "beat", "silent_us": 0})
    link._lost()
    link._reconnect()
    await turn()
    with pytest.raises(BlockingIOError):
        listener.socket.accept()
