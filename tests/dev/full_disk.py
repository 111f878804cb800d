"""The story of a full disk, on a small file system of its own: `python -m tests.dev.full_disk FOLDER`.

FOLDER is a fresh mount of a few MiB. The disk is filled while the agent stands in its tool's body, so that the
outcome cannot be recorded; space is freed again; the run goes on to its end.
"""

from __future__ import annotations

import contextlib
import errno
import sys
from pathlib import Path

from tests.dev.harness import Project, one_line, processes_of, wait_until


def fill(folder: Path) -> Path:
    """Leaves no free byte; returns the file that takes the space."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return filler


def is_full(folder: Path) -> bool:
    probe = folder / "probe"
    try:
        probe.write_bytes(b"x" * 8192)
    except OSError as error:
        return error.errno == errno.ENOSPC
    finally:
        probe.unlink(missing_ok=True)
    return False


def story(folder: Path) -> None:
    project = Project(folder)
    project.hold_at("acted")
    try:
        server = project.server()
        run_id = project.start_run()
        project.await_place("acted")
        filler = fill(folder)
        assert is_full(folder)

        done = project.tape("run", "--input", '"pay invoice 9"')
        assert done.returncode == 3, done
        assert "the disk is full; free some space, nothing recorded is lost" in one_line(done)

        project.go_on("acted")
        server.await_line("^trouble: .*the disk is full; free some space, nothing recorded is lost")
        for _ in range(5):  # while the agent asks again and again, reading goes on, and the trouble is said once
            assert project.tape("status").returncode == 0
        assert project.run(run_id).status == "RUNNING"
        assert len([line for line in server.err if "trouble" in line]) == 1, server.err

        filler.unlink()
        run = project.await_status(run_id)
        assert (run.decisions, run.effects, run.drive) == (3, 1, 1), run
        assert project.wires() == [f"{run_id}/1/0/wire_money"]
        project.await_status(project.start_run("pay invoice 9"))
        assert project.tape("doctor").returncode in (0, 3)
        assert "✗" not in project.tape("doctor").stdout

        filler = fill(folder)
        server.kill()
        wait_until(lambda: not processes_of(project.folder), "nothing is left")
        done = project.tape("dev", "--headless")
        assert done.returncode == 3, done
        assert "disk is full" in one_line(done)
        filler.unlink()
        project.server()
        project.await_status(project.start_run("pay invoice 10"))
    finally:
        project.close()


if __name__ == "__main__":
    story(Path(sys.argv[1]))
    print("told to its end")
