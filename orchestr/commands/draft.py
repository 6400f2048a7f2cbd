"""`draft NAME [INTENT | --file F | --issue URL...]`: from an intent to the draft of a spec.

The words are saved as `specs/NAME.md`, which is from then on the source: a person edits it, and
`draft NAME` or `run spec:NAME` drafts again. An unchanged intent asks nothing again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestr.commands.base import drafting, options
from orchestr.commands.base.agent_overrides import read_effort
from orchestr.commands.base.intent_file import (
    read_known_intent,
    refuse_other_words,
    write_intent,
)
from orchestr.commands.base.options import flag_option, repeated_option, value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.draft.build import build_draft, read_draft_text
from orchestr.draft.files import DraftPlaces, DraftRecord, read_if_there
from orchestr.draft.intent import (
    Intent,
    check_draft_name,
    is_intent,
    parse_intent,
    read_intent,
)
from orchestr.draft.sources import (
    SOURCES,
    AuditedStatement,
    check_source,
    collect_findings,
    read_issues,
    render_issues,
)
from orchestr.draft.templates import describe_templates, find_template, list_open_questions
from orchestr.errors import ExitCode, UsageError
from orchestr.files import display_path, write_if_changed
from orchestr.forges import make_forge
from orchestr.run.workspace import Session
from orchestr.settings.records import Settings
from orchestr.spec.product import Product
from orchestr.views.terminal.output import ask_line, print_stderr, write_stdout


class Draft(PlainVerb):
    """Writes the intent and the draft; the spec itself is written by `approve spec:NAME`."""

    doc_purpose = "draft a spec from an intent, by an agent that only reads or from a template"
    doc_usage = "NAME [INTENT]"
    help_group = "build"
    examples = (
        ("draft mldsa 'Sign with ML-DSA in every SDK'", "an agent reads the code and drafts"),
        ("draft mldsa --issue https://github.com/o/r/issues/7", "the same from an issue"),
        ("draft mldsa --answer=scope=java", "answer what the agent asked"),
        ("draft mldsa --no-agent --template sdk-matrix", "fill in a template, no agent"),
        ("draft mldsa --from review", "a new draft that answers what reviewers found"),
    )
    cmd_options = (
        value_option("file", "a file with the words"),
        repeated_option("issue", "an issue's address, or a file with its text; may be repeated"),
        value_option("product", "what it makes or changes: " + ", ".join(Product)),
        repeated_option("repo", "only these repositories; may be repeated"),
        {**value_option("source", f"answer what came of it: {' or '.join(SOURCES)}"),
         "long": "from"},
        flag_option("no_agent", "from a template, without an agent"),
        value_option("template", "which template; without one they are listed"),
        repeated_option("set", "an answer for the template; may be repeated"),
        repeated_option("answer", "an answer for the agent; may be repeated"),
        flag_option("force", "draft again although the intent did not change"),
        {**options.AGENT, "help": "who drafts (draft.agent, else agents.default)"},
        {**options.MODEL, "help": "its model"},
        {**options.EFFORT, "help": "its effort"},
        options.BUDGET,
        options.BUDGET_TOKENS,
        options.YES,
    )  # fmt: skip

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Save the intent, draft, and say where the draft is. Exit 2 for a question that waits."""
        if not args:
            raise UsageError(
                "a draft of what?", hint='orchestr draft NAME "what is wanted, and why"'
            )
        name = check_draft_name(args[0])
        agent = params["agent"]
        if agent is not None and agent not in session.settings.agents:
            known = ", ".join(session.settings.agents) or "none"
            raise UsageError(f"there is no agent {agent!r}", hint=f"agents: {known}")
        if params["source"]:
            check_source(params["source"])
            session.find_feature(name)  # before an intent is saved for nothing
        places = drafting.find_places(session, name)
        with drafting.hold_draft(session, name):
            _save_intent(session, places, params, args[1:])
            if params["source"]:
                _save_findings(session, places, params["source"])
            work = drafting.make_draft_work(
                session,
                name,
                answers=drafting.read_pairs(params["answer"], "answer"),
                force=params["force"],
                agent=agent,
                model=params["model"],
                purse=options.make_purse(params),
                effort=read_effort(params["effort"]),
            )
            if not drafting.confirm_draft(work, yes=params["yes"]):
                return int(ExitCode.DONE)
            with drafting.stop_on_signals(work):
                record, made = build_draft(work)
        _print_result(session, places, record, made=made)
        return int(ExitCode.DONE)


def _print_result(
    session: Session, places: DraftPlaces, record: DraftRecord, *, made: bool
) -> None:
    data = read_if_there(places.spec) or b""
    shown = display_path(places.spec, session.root)
    feature, warnings = read_draft_text(session.settings, data, shown)
    for warning in warnings:
        print_stderr(str(warning))
    if not made:
        write_stdout(f"spec:{places.name} is up to date: its intent did not change\n")
    else:
        maker = record.agent or record.author
        by = f"by {maker}" if maker else f"from the template {record.template}"
        times = f", sent back {record.rounds} times" if record.rounds > 1 else ""
        times = ", sent back once" if record.rounds == 1 else times
        write_stdout(f"drafted {places.name} {by}{times}: {shown}\n")
    for cell in feature.cells:
        after = f", after {', '.join(cell.depends_on)}" if cell.depends_on else ""
        write_stdout(f"  {cell.name} in {cell.repo}{after}\n")
    write_stdout(f"next: orchestr approve spec:{places.name}\n")


def _save_intent(session: Session, places: DraftPlaces, params: Any, words: Sequence[str]) -> None:
    """Write `specs/NAME.md` from what was typed; a person's text in it is never replaced."""
    known = read_known_intent(session, places)
    typed = _read_typed_text(session, places.name, params, words)
    if typed is None and known is None:
        known = _intent_without_words(session, places, params)
    base = known or typed or Intent(places.name, "")
    if typed is not None:
        refuse_other_words(session, places, known, typed.text)
    intent = Intent(
        places.name,
        base.text,
        tuple(params["issue"]) or base.issues,
        params["product"] or base.product,
        tuple(params["repo"]) or base.repositories,
        _choose_template(params, base),
        {**base.values, **drafting.read_pairs(params["set"], "set")},
    )
    if intent.product not in (None, *Product):
        raise UsageError(f"--product takes {', '.join(Product)}")
    intent = _answer_template(session.settings, intent)
    if intent != known or not places.intent.exists():
        print_stderr(f"saved {write_intent(session, places, intent)}")


def _intent_without_words(session: Session, places: DraftPlaces, params: Any) -> Intent | None:
    """A revision, or a template, needs no words; anything else does. Raises UsageError."""
    feature = session.specs.features.get(places.name)
    if feature is not None and params["source"]:
        return Intent(places.name, feature.intent or feature.title)
    if params["no_agent"] or params["template"]:
        return None
    raise UsageError(
        "what is wanted? There are no words",
        hint=f'orchestr draft {places.name} "what is wanted, and why", or --file, --issue',
    )


def _read_typed_text(
    session: Session, name: str, params: Any, words: Sequence[str]
) -> Intent | None:
    """The intent that was typed: words, a file, issues; None for nothing."""
    given = " ".join(words).strip()
    if given and params["file"]:
        raise UsageError("words or --file, not both", hint="orchestr help draft")
    base = Intent(name, given)
    if params["file"]:
        path = Path(os.environ.get("ORCHESTR_FROM") or ".", params["file"])
        data = read_if_there(path)
        if data is None:
            raise UsageError(f"there is no file {params['file']}", hint="--file FILE")
        text = data.decode("utf-8", "replace")
        base = parse_intent(name, data, params["file"]) if is_intent(data) else Intent(name, text)
    if params["issue"]:
        found = render_issues(
            read_issues(params["issue"], session.root, partial(make_forge, session.settings))
        )
        parts = [part for part in (base.text.strip(), found) if part]
        base = replace(base, text="\n\n".join(parts), issues=tuple(params["issue"]))
    return base if base.text.strip() else None


def _choose_template(params: Any, base: Intent) -> str | None:
    """The template of the intent; asked for at the terminal. Raises UsageError."""
    chosen = params["template"] or base.template
    if chosen is not None:
        return find_template(chosen).name
    if not params["no_agent"]:
        return None
    print_stderr(f"templates:\n{describe_templates()}".rstrip())
    if not sys.stdin.isatty():
        raise UsageError("which template?", hint="orchestr draft NAME --no-agent --template NAME")
    return find_template(ask_line("template: ") or "").name


def _answer_template(settings: Settings, intent: Intent) -> Intent:
    """The intent with the answers that a person types to its template's open questions."""
    if intent.template is None:
        return intent
    open_ones = list_open_questions(find_template(intent.template), intent.values)
    if not open_ones or not sys.stdin.isatty():
        return intent
    values = dict(intent.values)
    for question in open_ones:
        default = question.default.replace("<name>", intent.name)
        more = f" ({', '.join(settings.repos)})" if question.kind.startswith("repo") else ""
        print_stderr(f"{question.ask}{more}")
        shown = f" [{default}]" if default else ""
        values[question.key] = ask_line(f"{question.key}{shown}: ") or default
    return replace(intent, values=values)


def _save_findings(session: Session, places: DraftPlaces, source: str) -> None:
    """Write what a revision has to answer. Raises UsageError without a spec to revise."""
    feature = session.find_feature(places.name)
    intent = read_intent(places.intent, places.name, session.root)
    audited: Sequence[AuditedStatement] = ()
    if source == "audit":
        from orchestr.audit.record import read_audit

        record = read_audit(session.load_run(places.name))
        audited = record.findings if record is not None else ()
    finder = partial(make_forge, session.settings)
    text = collect_findings(source, session.layout, feature, intent.issues, finder, audited)
    write_if_changed(places.findings, text.encode())
