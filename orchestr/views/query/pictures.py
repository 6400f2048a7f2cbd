"""The pictures of a cell as a page can hold them: read from the state folder, bounded, as data.

A picture lies in the page itself, so a report can be sent to others. Nothing outside of the state
folder is read, whatever a link says; what is too large is named only.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.state.pictures import BEGIN, is_picture_named, picture_type, read_pictures
from orchestr.views.html.model import PagePicture
from orchestr.views.terminal.text import format_size

ONE = 2 << 20  # bytes of one picture
MOST = 24  # pictures of a cell that are shown
PAGE = 12 << 20  # bytes of all pictures of a page


class PictureReader:
    """Reads the pictures of a page; ``embeds`` false: only their names (a board is sent anew
    whenever something happens)."""

    def __init__(self, state: Path, *, embeds: bool = True) -> None:
        self._state = state
        self._left = PAGE if embeds else 0
        self._embeds = embeds

    def read_cell(
        self, ctx: CellContext, checks: Sequence[Any], reviews: Sequence[Any]
    ) -> tuple[PagePicture, ...]:
        """The pictures of the head that the verdicts are about: screenshots, then those that its
        checks left. ``reviews`` are the rows that say which issue names which picture."""
        head = ctx.read_head()
        shots = read_pictures(ctx.dir, head.head) if head is not None else ()
        named = dict.fromkeys((*shots, *self._list_check_pictures(checks)))
        return tuple(self._read_picture(path, tuple(_list_issues(path, reviews)))
                     for path in list(named)[:MOST])  # fmt: skip

    def _list_check_pictures(self, checks: Sequence[Any]) -> Iterator[str]:
        for row in checks:
            folder = row.get("folder") if isinstance(row, Mapping) else None
            if not isinstance(folder, str) or not folder:
                continue
            for name in row.get("artefacts") or ():
                path = Path(folder, str(name))
                if path.is_relative_to(self._state) and self._read_data(path, BEGIN):
                    yield path.relative_to(self._state).as_posix()

    def _read_picture(self, path: str, issues: tuple[str, ...]) -> PagePicture:
        name = "/".join(Path(path).parts[-2:])
        if not self._embeds:
            return PagePicture(name, path, issues=issues)
        data = self._read_data(self._state / path, ONE + 1)
        if data is None:
            return PagePicture(name, path, why="it is gone, or no picture", issues=issues)
        if len(data) > min(ONE, self._left):
            why = f"too large for this page ({format_size(len(data))})"
            return PagePicture(name, path, why=why, issues=issues)
        self._left -= len(data)
        kind = picture_type(data)
        source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
        return PagePicture(name, path, source, issues=issues)

    def _read_data(self, path: Path, most: int) -> bytes | None:
        """The first bytes of a picture, ``most`` at most; None for everything else."""
        try:
            real = path.resolve()
            if not real.is_relative_to(self._state.resolve()) or not real.is_file():
                return None
            with real.open("rb") as stream:
                data = stream.read(most)
        except OSError:
            return None
        return data if picture_type(data) is not None else None


def _list_issues(path: str, reviews: Sequence[Any]) -> Iterator[str]:
    """The issues that name a picture, with who found them."""
    for row in reviews:
        for issue in row.get("issues") or () if isinstance(row, Mapping) else ():
            names = issue.get("pictures") or () if isinstance(issue, Mapping) else ()
            if any(is_picture_named(path, str(name)) for name in names):
                yield f"{issue.get('title')} ({row.get('reviewer')})"
