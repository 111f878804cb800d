"""The n-th system call of the writer fails, or is the last that it makes: `python -m tests.faults.system_calls FOLDER`.

A child of this process tells a few batches of the story and says which are acknowledged; strace strikes its calls. What
it has left is judged here, and the writer of this process goes on from there. Prints one JSON object with the counts.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tape.core.journal.audit import examine
from tape.core.journal.audit_facts import Severity
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import JournalUnavailable
from tests.faults.faulty import Scene, on_disk, scenes, state, tell
from tests.faults.telling import Act

FIRST, LAST = 8, 13
"""The scenes that are told, each of one verb: attempts that fail, are tried again and rejected, a timer."""
STRIKES = {
    "EIO of a write": ("pwrite64:error=EIO:when={0}", 4),
    "ENOSPC of a write": ("pwrite64:error=ENOSPC:when={0}+", 4),
    "EIO of a sync": ("fdatasync:error=EIO:when={0}", 1),
    "EIO of a sync and of the next": ("fdatasync:error=EIO:when={0}..{1}", 1),
    "EIO of each sync from then on": ("fdatasync:error=EIO:when={0}+", 1),
    "EIO of a truncation": ("ftruncate:error=EIO:when={0}", 1),
    "SIGKILL at a write": ("pwrite64:signal=SIGKILL:when={0}", 3),
    "SIGKILL at a sync": ("fdatasync:signal=SIGKILL:when={0}", 1),
}
"""What strace injects, and how many calls are left out between two that are struck."""
PR_SET_PTRACER = 0x59616D61


def child(path: Path, scene: Scene, batches: int, go: int, acks: int) -> None:
    """Tells its part and says `+` for each batch that is acknowledged, `-` at the first that cannot be written."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    clock, tale, batch = scene.open_story()
    os.read(go, 1)
    try:
        writer = Writer(path, clock)
        for _ in range(batches):
            answers = apply(writer, batch)
            os.write(acks, b"+")
            batch = tale.send(answers)
        writer.close()
    except JournalUnavailable:
        os.write(acks, b"-")


def apply(writer: Writer, batch: Sequence[Act]) -> list[object]:
    """Asks for what was put off three times, as a server does for its agents; then raises."""
    answers: list[object] = [None] * len(batch)
    left = list(range(len(batch)))
    error: JournalUnavailable | None = None
    for _ in range(3):
        outcomes = writer.commit([batch[place] for place in left], ["story"] * len(left))
        for place, outcome in zip(left, outcomes, strict=True):
            answers[place] = outcome.error or outcome.result
        left = [place for place in left if isinstance(answers[place], JournalUnavailable)]
        if not left:
            return answers
        error = answers[left[0]]  # type: ignore[assignment]
    assert error is not None
    raise error


def struck(path: Path, told: Sequence[Scene], inject: str) -> tuple[bool, str, int]:
    """Runs the child under strace; returns whether anything was struck, what it acknowledged, its exit status."""
    path.write_bytes(told[FIRST].journal)
    go, release = os.pipe()
    read, acks = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            child(path, told[FIRST], LAST - FIRST, go, acks)
            status = 0
        finally:
            os._exit(status)
    os.close(acks)
    log = path.with_suffix(".strace")
    tracer = subprocess.Popen(
        ["strace", "-p", str(pid), "-o", log, "-e", f"trace={inject.partition(':')[0]}", "-e", f"inject={inject}"],
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    assert b"attached" in said, said
    os.write(release, b"g")
    acknowledged = b"".join(iter(lambda: os.read(read, 64), b"")).decode()
    _, status = os.waitpid(pid, 0)
    tracer.communicate()
    for descriptor in (go, release, read):
        os.close(descriptor)
    text = log.read_text()
    log.unlink()
    return "INJECTED" in text or "killed by SIGKILL" in text, acknowledged, status


def judge(path: Path, told: Sequence[Scene], acknowledged: str) -> bool:
    """What was acknowledged is there, and the story goes on. Returns whether one batch more was found."""
    acked = acknowledged.count("+")
    writer = Writer(path, told[FIRST].open_story()[0])  # recovers the log
    writer.close()
    found = on_disk(path, state)
    known = [told[FIRST - 1].after, *(scene.after for scene in told[FIRST : LAST + 1])]
    assert found in known[acked : acked + 2], f"{acked} acknowledged, found {[found == one for one in known]}"
    ahead = found != known[acked]
    following = told[FIRST + acked + ahead]
    clock, _, batch = following.open_story()
    writer = Writer(path, clock)
    tell(writer, batch)
    assert state(writer.connection) == following.after
    writer.close()
    assert not [finding for finding in examine(path).findings if finding.severity is Severity.ERROR]
    return ahead


def main(folder: Path) -> dict[str, dict[str, int]]:
    told = scenes(folder / "told.db")
    counts: dict[str, dict[str, int]] = {}
    for name, (inject, stride) in STRIKES.items():
        count: Counter[str] = Counter()
        for number in itertools.count(1, stride):
            path = folder / f"{name.replace(' ', '-')}-{number}.db"
            hit, acknowledged, status = struck(path, told, inject.format(number, number + 1))
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            assert (killed == (hit and "SIGKILL" in name)) and (killed or status == 0), (name, number, status)
            ahead = judge(path, told, acknowledged)
            if not hit:
                assert acknowledged == "+" * (LAST - FIRST) and not ahead
                break
            count["struck"] += 1
            count["acknowledged"] += acknowledged.count("+")
            count["given up"] += "-" in acknowledged
            count["ahead"] += ahead
        counts[name] = dict(count)
    return counts


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
