"""All pull requests of a repository at a Forgejo: asked for each time, but read only where new.

The API lists pull requests and cannot be asked for those of a branch. A repository with a page of
them is one request. Of a larger one the whole list is read once a process; later questions read
what changed since, and the open ones: where a branch is may change without the time of its pull
request. So an answer is never older than its question.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from orchestr.forges.base import ForgeError
from orchestr.forges.forgejo_api import PAGES, ForgejoApi, Page, unreadable_error
from orchestr.forges.forgejo_remote import RepoPath

Row = Mapping[str, Any]


class PullList:
    """The pull requests of one repository, by number."""

    def __init__(self, api: ForgejoApi, path: RepoPath) -> None:
        self._api = api
        self._path = path
        self._turn = threading.Lock()
        self._rows: dict[int, Row] = {}
        self._newest: datetime | None = None  # what changed last when the last read began

    def read_rows(self) -> dict[int, Row]:
        """Every pull request as it is now. Raises as `ForgejoApi.send_request`."""
        with self._turn:
            try:
                return self._read()
            except (KeyError, TypeError, ValueError) as error:
                raise unreadable_error(self._path, error) from error

    def list_open(self) -> Iterator[Row]:
        """The open ones, those changed last first."""
        return self._api.list_rows(
            self._path, f"{self._path.api}/pulls", state="open", sort="recentupdate"
        )

    def _read(self) -> dict[int, Row]:
        first = self._read_page(1)
        newest = max(map(_updated, first.rows), default=None)
        if first.is_last:
            self._rows = {}
            self._add(first.rows)
        elif self._newest is None:
            # The oldest first: what is opened meanwhile comes at the end, so no page slips.
            every = self._api.list_rows(
                self._path, f"{self._path.api}/pulls", state="all", sort="oldest"
            )
            self._add([*every, *first.rows])
        else:
            self._read_changed(first, self._newest)
            self._add(list(self.list_open()))
        self._newest = newest
        return dict(self._rows)

    def _read_changed(self, page: Page, since: datetime) -> None:
        self._add(page.rows)
        for number in range(2, PAGES):
            if page.is_last or min(map(_updated, page.rows)) < since:
                return
            page = self._read_page(number)
            self._add(page.rows)
        raise ForgeError(f"{self._path.url} has more pull requests than can be read")

    def _read_page(self, number: int) -> Page:
        return self._api.read_page(
            self._path, f"{self._path.api}/pulls", number, state="all", sort="recentupdate"
        )

    def _add(self, rows: list[Row]) -> None:
        self._rows |= {int(row["number"]): row for row in rows}


def _updated(row: Row) -> datetime:
    return datetime.fromisoformat(str(row["updated_at"]))
