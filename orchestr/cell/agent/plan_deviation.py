"""The work beside the approved plan: files of the change that the plan does not name.

A plan is prose, so the answer errs to the side of naming: a file counts as named when the plan has
its path, the end of its path, a folder above it or a pattern for it. Nothing here refuses a change;
the person at the gate and the reader of the pull request are shown it, with what the agent said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from orchestr.cell.agent.launch import launch_secrets
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.agent.write_plan import read_last_answer
from orchestr.cell.context import CellContext
from orchestr.checks.base import clean_text
from orchestr.process.redaction import redact
from orchestr.state import attempts
from orchestr.state.results import HeadRecord, ImplementRecord, PlanDeviation, PlanRecord

EXPLAINED = 1500  # characters of the agent's last message that are kept
_QUOTED = re.compile(r"`([^`\n]+)`")
_WORD = re.compile(r"[\w.@+~/*?{},\[\]-]+")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}$")
_LINE = re.compile(r":\d+(?:[-:]\d+)*$")
_BRACES = re.compile(r"\{([^{}]*)\}")


def record_plan_deviation(ctx: CellContext, head: HeadRecord) -> None:
    """Note what this head changes beside the approved plan, once for each head."""
    if not ctx.cell.has_plan_phase:
        return
    known = PlanDeviation.read(ctx.dir)
    if known is None or known.head != head.head:
        found = find_plan_deviation(ctx, head)
        if found is not None:
            found.write(ctx.dir)


def find_plan_deviation(ctx: CellContext, head: HeadRecord) -> PlanDeviation | None:
    """What a head changes beside the approved plan; None for a cell without one."""
    planned, text = PlanRecord.read(ctx.dir), read_plan(ctx)
    if planned is None or not planned.digest or text is None:
        return None
    names = list_named_paths(text)
    changed = ctx.repo.changed_paths(head.base, head.head)
    beside = tuple(path for path in changed if not is_named(path, names)) if names else ()
    said = read_last_words(ctx) if beside else ""
    return PlanDeviation(head.head, beside, bool(names) or not changed, said)


def list_named_paths(plan: str) -> frozenset[str]:
    """The words of a plan that name files, folders (with a slash at the end) or patterns."""
    found: set[str] = set()
    for text in _QUOTED.findall(plan):
        for word in text.split():
            found |= _spellings(word, quoted=True)
    for word in _WORD.findall(_QUOTED.sub(" ", plan)):
        found |= _spellings(word.strip("*_"), quoted=False)
    return frozenset(found)


def _spellings(word: str, *, quoted: bool) -> set[str]:
    """The paths that a word stands for; none for a word that is no path."""
    word = _LINE.sub("", word.strip("'\"()<>,;:!").rstrip(".,")).removeprefix("./")
    braces = _BRACES.search(word)
    if braces is not None and "," in braces[1]:
        parts = (word[: braces.start()] + p + word[braces.end() :] for p in braces[1].split(","))
        return {one for part in parts for one in _spellings(part, quoted=quoted)}
    bare = word.strip("*?./")
    if not bare or "://" in word or (word.startswith("-") and quoted):
        return set()
    named = "/" in word or bool(_EXTENSION.search(word))
    return {word} if named or quoted else set()


def is_named(path: str, names: Iterable[str]) -> bool:
    """Whether a plan with these words names the path."""
    for name in names:
        if path == name or path.endswith(f"/{name}"):
            return True
        if any(sign in name for sign in "*?["):
            if fnmatchcase(path, name) or fnmatchcase(path, f"*/{name}"):
                return True
            continue
        is_folder = "/" in name and not _EXTENSION.search(name)
        if is_folder and f"/{name.strip('/')}/" in f"/{path}":
            return True
    return False


def read_last_words(ctx: CellContext, limit: int = EXPLAINED) -> str:
    """What the author said last, without secrets, its end cut at ``limit`` characters; empty where
    there is nothing."""
    done = ImplementRecord.read(ctx.dir)
    attempt = attempts.read_attempt(ctx.dir, done.attempt) if done and done.attempt else None
    if attempt is None:
        return ""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    text = redact(read_last_answer(ctx, attempt), launch_secrets(folder))
    return clean_text(text, limit).strip()
