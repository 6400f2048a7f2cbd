"""`comment PR [TEXT]`: what people do on a forge's page, for pull requests of the local forge."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from orchestr.codec import encode
from orchestr.commands.base.options import JSON, flag_option, repeated_option, value_option
from orchestr.commands.base.person import login_name
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, UsageError
from orchestr.forges import make_forge
from orchestr.forges.answers import hide_marker
from orchestr.forges.base import RepoRef
from orchestr.forges.comment_files import LONGEST, CommentRow, clean_body, row_name
from orchestr.forges.followed import Dressing, Verdict
from orchestr.forges.local import LocalForge
from orchestr.forges.local_facts import LookedAt
from orchestr.forges.local_repos import missing_pull_request
from orchestr.forges.repo_refs import make_repo_ref
from orchestr.forges.routed import forge_for, list_members
from orchestr.git.errors import GitError
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO
from orchestr.process.run import CannotStart
from orchestr.run.workspace import Session, locate_pushed_repositories
from orchestr.views.terminal.output import write_stdout
from orchestr.views.terminal.text import clean_line, printable_line

_ADDRESS = re.compile(r"(?:local://)?([^/#\s]+)(?:/pull/|#)(\d{1,9})/?")
_PLACE = re.compile(r"(.+?)(?::(\d{1,9}))?")
_EXCLUSIVE = (("approve", "request_changes"), ("close", "reopen"), ("on", "reply"))


class Comment(PlainVerb):
    """On the local forge only, which has no page: comments, reviews, labels, close, reopen, ready.
    Alone it shows what was said."""

    doc_purpose = "say or do something at a pull request of the local forge"
    doc_usage = "PR [TEXT]"
    help_group = "land"
    examples = (
        ("comment app#3", "what was said"),
        ("comment app#3 'Why not 1184?' --on src/kem.py:12", "a conversation at a line"),
        ("comment app#3 'As in the standard.' --reply c2", "an answer in it"),
        ("comment app#3 'Not without a test.' --request-changes", "a review"),
        ("comment app#3 --label 'orchestr: hands off'", "`orchestr follow` leaves it alone"),
    )
    cmd_options = (
        value_option("as", "who says it; default: git's user.name"),
        flag_option("bot", "it is a bot that says it"),
        value_option("on", "a place of the change, PATH or PATH:LINE"),
        value_option("reply", "the conversation that it belongs to, e.g. c2"),
        value_option("resolve", "mark this conversation as resolved"),
        flag_option("request_changes", "a review that wants changes", long="request-changes"),
        flag_option("approve", "a review that approves"),
        flag_option("close", "close it without a merge"),
        flag_option("reopen", "open it again"),
        flag_option("ready", "a draft becomes ready for review"),
        repeated_option("label", "add this label; may be repeated"),
        repeated_option("unlabel", "take this label away; may be repeated"),
        JSON,
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """ExitCode 1 when the forge says no."""
        if not args:
            raise UsageError("which pull request?", hint="orchestr comment REPO#NUMBER TEXT")
        forge = require_local_forge(session, args[0])
        if len(args) > 2:
            raise UsageError("the text is one word", hint="put it in quotes: 'like this'")
        repo, number = find_pull_request(session, args[0])
        refuse_together(params)
        lines = list(perform_actions(forge, repo, number, params, read_text(args[1:])))
        if lines:
            write_stdout("".join(f"{line}\n" for line in lines))
            return int(ExitCode.DONE)
        looked = forge.look_at(repo, [number])
        if not looked:
            raise missing_pull_request(repo, number)
        if params["json"]:
            write_stdout(json.dumps(as_table(looked[0]), indent=2) + "\n")
        else:
            write_stdout(describe(looked[0]))
        return int(ExitCode.DONE)


def require_local_forge(session: Session, word: str) -> LocalForge:
    """The local forge, of the whole workspace or of the repository that ``word`` names. Raises
    UsageError where the pull requests are elsewhere."""
    forge = make_forge(session.settings)
    local = next((f for f in list_members(forge) if isinstance(f, LocalForge)), None)
    if local is not None:
        if local is forge:
            return local
        repo = find_pull_request(session, word)[0]
        forge = forge_for(forge, repo.name)
        if isinstance(forge, LocalForge):
            return forge
    is_github = forge.kind == "github"
    address = word if word.startswith("https://") else "URL"
    raise UsageError(
        f"the pull requests of this workspace are at {forge.kind}, not on the local forge"
        if local is None
        else f"the pull requests of {repo.name} are at {forge.kind}, not on the local forge",
        hint=f"gh pr comment {address} --body TEXT"
        if is_github
        else "write at its page: orchestr status shows its address",
    )


def find_pull_request(session: Session, word: str) -> tuple[RepoRef, int]:
    """The pull request that `local://REPO/pull/N` or `REPO#N` means. Raises UsageError."""
    found = _ADDRESS.fullmatch(word)
    if found is None:
        raise UsageError(
            f"{word!r} is no pull request of the local forge",
            hint="REPO#NUMBER or local://REPO/pull/NUMBER, as `orchestr status` shows it",
        )
    settings = session.settings
    for feature in session.specs.features.values():
        settings = locate_pushed_repositories(settings, feature)
    name = found[1]
    return make_repo_ref(settings, name), int(found[2])


def refuse_together(params: Any) -> None:
    """Raises UsageError for options that exclude each other."""
    for one, other in _EXCLUSIVE:
        if params[one] and params[other]:
            names = (f"--{name.replace('_', '-')}" for name in (one, other))
            raise UsageError(" and ".join(names) + " exclude each other", hint="use one of them")
    reviews = params["approve"] or params["request_changes"]
    if reviews and (params["on"] or params["reply"]):
        raise UsageError(
            "a review is about the whole change, not a place of it",
            hint="comment at the place first, then: orchestr comment PR TEXT --request-changes",
        )


def read_text(words: list[str]) -> str:
    """The text of the comment; `-` is what comes on stdin. Raises UsageError."""
    text = words[0] if words else ""
    if text == "-":
        text = sys.stdin.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise UsageError(
            f"a comment has at most {LONGEST:,} characters", hint="say it in several, or in a file"
        )
    return clean_body(text)


def perform_actions(
    forge: LocalForge, repo: RepoRef, number: int, params: Any, text: str
) -> Iterator[str]:
    """Do what the options ask for; a line for each thing done. Raises ForgeError, UsageError."""
    name = f"{repo.name}#{number}"
    author = clean_body(clean_line(params["as"] or "")) or read_own_name(repo)
    if params["reopen"]:
        forge.reopen_pull_request(repo, number)
        yield f"{name}: opened again"
    row = make_row(params, author, text)
    if row is not None:
        yield f"{name}: {forge.add_comment(repo, number, row)} by {author}"
    if params["resolve"]:
        forge.resolve_thread(repo, number, params["resolve"])
        yield f"{name}: {params['resolve']} is resolved"
    labels = tuple(clean_line(label) for label in params["label"])
    if labels:
        forge.dress_pull_request(repo, number, Dressing(labels=labels))
        yield f"{name}: labelled {', '.join(labels)}"
    for label in params["unlabel"]:
        forge.remove_label(repo, number, label)
        yield f"{name}: no label {clean_line(label)}"
    if params["ready"]:
        forge.mark_ready(repo, number)
        yield f"{name}: ready for review"
    if params["close"]:
        forge.close_pull_request(repo, number, author=author)
        yield f"{name}: closed by {author}"


def make_row(params: Any, author: str, text: str) -> CommentRow | None:
    """The comment or review that is asked for; None without text and verdict. Raises UsageError."""
    path, line, verdict = "", 0, ""
    if params["on"]:
        found = _PLACE.fullmatch(params["on"])
        path, line = (found[1], int(found[2] or 0)) if found else (params["on"], 0)
    if params["approve"]:
        verdict = str(Verdict.APPROVED)
    if params["request_changes"]:
        verdict = str(Verdict.CHANGES_REQUESTED)
    if not text.strip():
        for option in ("on", "reply", "request_changes"):
            if params[option]:
                flag = f"--{option.replace('_', '-')}"
                raise UsageError(f"{flag} wants a text", hint=f"orchestr comment PR TEXT {flag}")
        if not verdict:
            return None
    return CommentRow(
        author=author,
        body=text,
        path=clean_body(path),
        line=line,
        thread=params["reply"] or "",
        verdict=verdict,
        is_bot=params["bot"],
    )


def read_own_name(repo: RepoRef) -> str:
    """The user's name as git has it where the repository is; else that of the login."""
    name = ""
    if repo.path.is_dir():
        try:
            done = Repo(repo.path).run_git("config", "--get", "user.name", answers=YES_OR_NO)
            name = clean_line(done.text)
        except (GitError, CannotStart):
            name = ""
    return name or login_name() or "unknown"


def describe(looked: LookedAt) -> str:
    """A pull request and what was said, for a terminal."""
    kept, pr = looked.kept, looked.kept.pr
    state = f"{pr.state} draft" if pr.draft and pr.state == "open" else str(pr.state)
    if kept.closed_by:
        state += f" by {clean_line(kept.closed_by)}"
    lines = [f"{pr.url} {clean_line(pr.title)}", f"  {state}, {pr.head} into {pr.base}"]
    beside = {"labels": kept.labels, "reviewers": kept.reviewers, "assignees": kept.assignees,
              "milestone": (kept.milestone,) if kept.milestone else ()}  # fmt: skip
    lines += [f"  {name}: {', '.join(map(clean_line, v))}" for name, v in beside.items() if v]
    for place, row in enumerate(looked.comments):
        lines += ["", f"{row_name(place)} {_describe_row(row)}"]
        lines += [
            f"  {printable_line(line)}".rstrip() for line in hide_marker(row.body).splitlines()
        ]
    if not looked.comments:
        lines += ["  nothing was said"]
    return "\n".join(lines) + "\n"


def _describe_row(row: CommentRow) -> str:
    words = [clean_line(row.author) + (" (bot)" if row.is_bot else "")]
    if row.thread:
        words.append(f"in {row.thread}")
    if row.path:
        words.append(f"on {clean_line(row.path)}" + (f":{row.line}" if row.line else ""))
    if row.verdict:
        words.append(clean_line(row.verdict).replace("_", " "))
    if row.is_resolved:
        words.append("resolved")
    return " ".join([*words, row.created_at[:16].replace("T", " ")]).rstrip()


def as_table(looked: LookedAt) -> dict[str, Any]:
    """The same as JSON values."""
    kept = looked.kept
    rows = enumerate(looked.comments)
    return {
        "pr": encode(kept.pr),
        "labels": list(kept.labels),
        "reviewers": list(kept.reviewers),
        "assignees": list(kept.assignees),
        "milestone": kept.milestone or None,
        "closed_by": kept.closed_by or None,
        "comments": [{"id": row_name(place), **encode(row)} for place, row in rows],
    }
