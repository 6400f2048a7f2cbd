"""What a supervisor notes of its agent's writes, and what can be told from that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestr.process.tree import LINUX
from orchestr.supervisor.write_samples import WRITES, WriteTimeline, read_timeline

# At 100 an agent began; it wrote 50 bytes up to 101 (20 of them said), 7 up to 103; ended at 110.
LINES = "b 100.000\nw 100.500 101.000 50 30 4096\nw 102.900 103.000 7 7 0\ne 110.000\n"


def timeline(folder: Path, text: str) -> WriteTimeline:
    (folder / WRITES).write_text(text)
    found = read_timeline(folder)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("moment", "written", "in_files", "at_work"),
    [(90.0, 0, 0, False), (100.2, 0, 0, True), (100.7, 50, 30, True), (101.01, 50, 30, True),
     (102.0, 0, 0, True), (103.0, 7, 7, True), (109.0, 0, 0, True), (111.0, 0, 0, False)],
)  # fmt: skip
def test_what_was_written_about_a_moment(
    tmp_path: Path, moment: float, written: int, in_files: int, at_work: bool
) -> None:
    found = timeline(tmp_path, LINES)
    assert found.written_about(moment) == written
    assert found.written_about(moment, files=True) == in_files
    assert found.was_at_work(moment) is at_work


def test_pages_and_sums(tmp_path: Path) -> None:
    found = timeline(tmp_path, LINES)
    assert [found.dirtied_about(at) for at in (90.0, 100.7, 103.0)] == [0, 4096, 0]
    assert [found.dirtied_until(at) for at in (90.0, 100.7, 104.0)] == [0, 4096, 4096]
    assert [found.written_until(at) for at in (90.0, 100.7, 102.0, 104.0)] == [0, 50, 50, 57]


def test_nobody_looked(tmp_path: Path) -> None:
    assert read_timeline(tmp_path) is None
    assert timeline(tmp_path, "b 100.000\nu 100.000\n").written_about(101.0) is None
    killed = timeline(tmp_path, "b 100.000\nw 100.000 101.000 5 5 -1\n")
    assert killed.written_about(killed.seen + 10) is None
    assert killed.written_about(100.5) == 5
    assert killed.dirtied_about(100.5) is None
    assert timeline(tmp_path, "b 100.000\nu 105.000\ne 110.000\n").written_about(120.0) == 0


def test_a_second_start_and_a_torn_line(tmp_path: Path) -> None:
    found = timeline(tmp_path, f"{LINES}b 200.000\nw 200.000 201.000 9 9 0\ne 202.000\nw 20")
    assert [found.written_about(at) for at in (103.0, 150.0, 200.5)] == [7, 0, 9]
    assert [found.was_at_work(at) for at in (105.0, 150.0, 201.0)] == [True, False, True]


@pytest.mark.skipif(not LINUX, reason="counts of /proc")
def test_a_real_agent(tmp_path: Path) -> None:
    """What it says is told apart from what it writes into files; the watcher's own is neither."""
    program = f"""
import os, pathlib, subprocess
from orchestr.supervisor.write_samples import WriteSampler
folder, said = pathlib.Path({str(tmp_path)!r}), []
sampler = WriteSampler(folder, os.getpid(), lambda: sum(map(len, said)))
sampler.note_start()
script = "printf hello; printf 0123456789 > " + str(folder / "made")
child = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
said.append(child.stdout.read())
child.wait()
(folder / "own").write_text("x" * 1000)
sampler.note_end()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    found = read_timeline(tmp_path)
    assert found is not None
    assert (sum(found.sizes), sum(found.file_sizes)) == (15, 10)
    made = (tmp_path / "made").stat().st_mtime
    assert found.was_at_work(made) and (found.written_about(made, files=True) or 0) == 10
