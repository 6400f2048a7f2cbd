"""The questions of `handoff` at a terminal: what to do, then whether the texts are right."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence

from orchestr.cell.context import FeatureRun
from orchestr.codec import replace
from orchestr.errors import OrchestrError, UsageError
from orchestr.forges.body_markers import read_block, splice_block
from orchestr.handoff.choose import Choices, format_for_editor, parse_edited, read_line
from orchestr.handoff.prepare import Draft
from orchestr.handoff.records import PullRequestText, handoffs_dir
from orchestr.process.terminal_program import edit_file
from orchestr.views.terminal.handoff import actions_text
from orchestr.views.terminal.output import ask_line, print_stderr

CHOOSE = """\
What is to be done with these pull requests?
  leave               bring their texts up to date; drafts stay drafts
  ready               mark them ready for review
  land                mark them ready, then land the feature
  skip CELL           leave this one alone (then choose)
  base CELL=BRANCH    give it another base (then choose)
  cancel"""


def ask_choices(
    choices: Choices, cells: Collection[str], ask: Callable[[str], str | None] = ask_line
) -> Choices | None:
    """What the person chooses; None for `cancel`."""
    print_stderr(CHOOSE)
    while choices.choice is None:
        line = ask("choice> ")
        if line is None or line == "cancel":
            return None
        if not line:
            continue
        try:
            choices = read_line(choices, line, cells)
        except UsageError as error:
            _print_error(error)
    return choices


def ask_use(
    run: FeatureRun,
    draft: Draft,
    show: Callable[[Draft], None],
    ask: Callable[[str], str | None] = ask_line,
) -> Draft | None:
    """The texts that the person wants sent; None for `cancel`."""
    while True:
        print_stderr(actions_text(draft.actions).rstrip("\n"))
        line = ask("use, edit [CELL] or cancel> ")
        word, _, cell = (line or "").partition(" ")
        if line is None or word == "cancel":
            return None
        if word == "use":
            return draft
        if word != "edit":
            print_stderr("answer: use, edit, edit CELL, or cancel")
            continue
        names = [cell.strip()] if cell.strip() else [text.cell for text in draft.texts]
        try:
            draft = edit_texts(run, draft, names)
        except OrchestrError as error:
            _print_error(error)
            continue
        show(draft)


def edit_texts(run: FeatureRun, draft: Draft, cells: Sequence[str]) -> Draft:
    """The draft with the texts of these cells as the person's editor leaves them.

    Raises OrchestrError when the editor fails or a text has no title; UsageError for a cell that is
    not handed over.
    """
    texts = {text.cell: text for text in draft.texts}
    for name in cells:
        if name not in texts:
            raise UsageError(f"{name!r} is not handed over", hint=f"one of {', '.join(texts)}")
        edited = _edit_text(run, texts[name])
        if edited != texts[name]:
            draft = draft.with_text(edited)
    return draft


def _edit_text(run: FeatureRun, text: PullRequestText) -> PullRequestText:
    """One text, edited. Our own part of the body stays: it is written anew by every run."""
    path = handoffs_dir(run.layout, run.feature.name) / f"{text.cell}.edit.md"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = format_for_editor(text)
    path.write_text(before, encoding="utf-8")
    try:
        edit_file(path, os.environ)
        after = path.read_text(encoding="utf-8", errors="replace")
    finally:
        path.unlink(missing_ok=True)
    if after == before:
        return text
    title, body = parse_edited(after)
    block = read_block(text.body)
    whole = splice_block(body, block) if block is not None else body
    if block is not None and read_block(body) != block:
        print_stderr(f"{text.cell}: the part between our markers stays as it is")
    return replace(text, title=title, body=whole)


def _print_error(error: OrchestrError) -> None:
    print_stderr(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))
