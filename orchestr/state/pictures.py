"""The pictures of a cell's head: which files they are, for the report and the pull request.

`screenshots` write them where an attempt keeps what it made; a result that was kept from an earlier
run leads to where that one left them. So `screenshots.json` in the attempt's folder names them.
What a file is, its first bytes say, never its name: a picture goes into a page only as PNG, JPEG or
WebP, which hold no program, as SVG can.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestr.codec import Record, read_json_record, write_json_record
from orchestr.errors import CorruptState
from orchestr.state.attempts import attempt_folder, attempt_numbers

FILE = "screenshots.json"
BEGIN = 12  # bytes that say what a file is


class PictureList(Record, frozen=True):
    """`screenshots.json`: the files of one head, as paths in the state folder."""

    head: str
    paths: tuple[str, ...] = ()


def write_pictures(
    cell_dir: Path, state: Path, attempt: int, head: str, files: Iterable[Path]
) -> None:
    """Note the pictures of a head; files that are none, or outside of the state, are left out."""
    names = [
        path.relative_to(state).as_posix()
        for path in files
        if path.is_relative_to(state) and read_picture_type(path) is not None
    ]
    folder = attempt_folder(cell_dir, attempt)
    folder.mkdir(parents=True, exist_ok=True)
    write_json_record(folder / FILE, PictureList(head, tuple(names)))


def read_pictures(cell_dir: Path, head: str) -> tuple[str, ...]:
    """The pictures of a head, as paths in the state folder; none where that is not known."""
    for number in (*reversed(attempt_numbers(cell_dir)), 0):
        with suppress(CorruptState):
            found = read_json_record(attempt_folder(cell_dir, number) / FILE, PictureList)
            if found is not None and found.head == head:
                return found.paths
    return ()


def read_picture_type(path: Path) -> str | None:
    """The media type of a picture by its first bytes; None for everything else."""
    try:
        with path.open("rb") as stream:
            return picture_type(stream.read(BEGIN))
    except OSError:
        return None


def picture_type(data: bytes) -> str | None:
    """The media type of a picture that begins so; None for everything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def is_picture_named(path: str, name: str) -> bool:
    """Whether ``name``, as a reviewer wrote it, means the picture at ``path``."""
    return bool(name) and (path == name or path.endswith(f"/{name}") or name.endswith(f"/{path}"))
