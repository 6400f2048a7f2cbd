"""Conversations on the local forge: comments, threads at a place, reviews and our answers.

Owns what may be said where and how rows of a file become the threads of `followed`; leaves the
file to `comment_files`. Everybody may write, as everybody who can write to the workspace can; a
bot is one that was named so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestr.codec import replace as replace_record
from orchestr.forges import comment_files
from orchestr.forges.answers import has_answer, write_answer
from orchestr.forges.base import ForgeError, PullRequest, RepoRef
from orchestr.forges.comment_files import LONGEST, OURS, CommentRow, clean_body, row_name
from orchestr.forges.followed import Comment, PullRequestReview, Thread, Verdict
from orchestr.forges.local_repos import LocalRepos, LockedRepo, get_pull_request

# What a review's verdict makes of a pull request; a comment or a dismissal changes nothing.
_DECIDES = {Verdict.APPROVED: "approved", Verdict.CHANGES_REQUESTED: "changes_requested"}


class LocalComments(LocalRepos):
    """The part of the local forge that keeps what was said."""

    def comment_once(self, repo: RepoRef, number: int, body: str) -> None:
        """See `Forge.comment_once`."""
        row = CommentRow(author=OURS, body=clean_body(body), is_ours=True)
        self._say_once(repo, number, row, lambda old: old == row.body)

    def answer_once(self, repo: RepoRef, number: int, thread: Thread, body: str, key: str) -> None:
        """See `FollowingForge.answer_once`. An answer to a general comment is one, too."""
        name = _find_row(thread.id) if thread.path else ""
        text = write_answer(thread, body, key)
        row = CommentRow(author=OURS, body=clean_body(text), thread=name, is_ours=True)
        self._say_once(repo, number, row, lambda old: has_answer(old, key))

    def add_comment(self, repo: RepoRef, number: int, row: CommentRow) -> str:
        """Keep what a person or a bot says; the name of the new row. ``thread`` of the row may be
        any row of a thread, or the id of one.

        Raises ForgeError: no such pull request or thread, a text that is too long.
        """
        with self.lock_and_refresh(repo) as look:
            pr = get_pull_request(look, repo, number).pr
            rows = comment_files.read_comments(look.folder, number)
            if row.thread:
                row = replace_record(row, thread=_find_thread(pr, rows, row.thread))
            return self._append(look, pr, rows, row)

    def resolve_thread(self, repo: RepoRef, number: int, thread: str) -> None:
        """Mark a thread at a place as resolved. Raises ForgeError when there is none."""
        with self.lock_and_refresh(repo) as look:
            pr = get_pull_request(look, repo, number).pr
            rows = list(comment_files.read_comments(look.folder, number))
            place = int(_find_thread(pr, rows, thread)[1:]) - 1
            rows[place] = replace_record(rows[place], is_resolved=True)
            comment_files.write_comments(look.folder, number, rows)

    def _say_once(
        self, repo: RepoRef, number: int, row: CommentRow, is_same: Callable[[str], bool]
    ) -> None:
        with self.lock_and_refresh(repo) as look:
            pr = get_pull_request(look, repo, number).pr
            rows = comment_files.read_comments(look.folder, number)
            if any(old.is_ours and is_same(old.body) for old in rows):
                return
            if row.thread:
                row = replace_record(row, thread=_find_thread(pr, rows, row.thread))
            self._append(look, pr, rows, row)

    def _append(
        self, look: LockedRepo, pr: PullRequest, rows: Sequence[CommentRow], row: CommentRow
    ) -> str:
        row = replace_record(row, body=clean_body(row.body))
        comment_files.check_length(row.body)
        commit = pr.head_sha if row.verdict or row.path else ""
        row = replace_record(row, created_at=self.clock(), commit=commit)
        comment_files.write_comments(look.folder, pr.number, [*rows, row])
        return row_name(len(rows))


def comment_id(repo: str, number: int, name: str) -> str:
    """The id of a row in the whole workspace."""
    return f"{repo}#{number}/{name}"


def list_threads(repo: str, pr: PullRequest, rows: Sequence[CommentRow]) -> tuple[Thread, ...]:
    """The threads of a pull request in the order in which they began; reviews are none."""
    begun: dict[str, list[Comment]] = {}
    for place, row in enumerate(rows):
        if not row.verdict:
            begun.setdefault(row.thread or row_name(place), []).append(
                _as_comment(repo, pr, place, row)
            )
    first = {row_name(place): row for place, row in enumerate(rows)}
    return tuple(
        Thread(
            id=comment_id(repo, pr.number, name),
            comments=tuple(said),
            path=first[name].path,
            line=first[name].line,
            is_resolved=first[name].is_resolved,
        )
        for name, said in begun.items()
        if name in first
    )


def list_reviews(
    repo: str, pr: PullRequest, rows: Sequence[CommentRow]
) -> tuple[PullRequestReview, ...]:
    """The reviews of a pull request, the oldest first."""
    return tuple(
        PullRequestReview(Verdict(row.verdict), _as_comment(repo, pr, place, row), row.commit)
        for place, row in enumerate(rows)
        if row.verdict in list(Verdict)
    )


def decide_review(rows: Sequence[CommentRow]) -> str | None:
    """What the newest verdict of each reviewer comes to, in the words of `PullRequest.review`."""
    newest = {row.author: row.verdict for row in rows if row.verdict in _DECIDES}
    words = {_DECIDES[Verdict(verdict)] for verdict in newest.values()}
    return min(words, key=list(reversed(_DECIDES.values())).index, default=None)


def _as_comment(repo: str, pr: PullRequest, place: int, row: CommentRow) -> Comment:
    return Comment(
        id=comment_id(repo, pr.number, row_name(place)),
        author=row.author,
        body=clean_body(row.body[:LONGEST]),
        created_at=row.created_at or pr.created_at,
        may_write=not row.is_bot,
        is_bot=row.is_bot,
        is_ours=row.is_ours,
        url=f"{pr.url}#{row_name(place)}",
    )


def _find_row(id: str) -> str:
    """The row's name in an id of ours, or the word itself."""
    return id.rpartition("/")[2].rpartition("#")[2]


def _find_thread(pr: PullRequest, rows: Sequence[CommentRow], word: str) -> str:
    """The name of the first row of the thread at a place that a word means. Raises ForgeError."""
    named = {row_name(place): row for place, row in enumerate(rows)}
    name = _find_row(word)
    name = named[name].thread or name if name in named else name
    if name in named and named[name].path:
        return name
    known = [n for n, row in named.items() if row.path and not row.thread]
    raise ForgeError(
        f"{pr.url} has no thread {word!r}",
        hint=f"its threads: {', '.join(known)}"
        if known
        else f"start one: orchestr comment {pr.url} TEXT --on PATH:LINE",
    )
