"""`lineage PATH|COMMIT`: which cell, attempt, agent, checks and people made it."""

from __future__ import annotations

import json
from typing import Any

from orchestr.commands.base.options import JSON, value_option
from orchestr.commands.base.provenance import (
    cell_contexts,
    find_clones,
    find_commit,
    find_path,
    load_origins,
)
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, UsageError
from orchestr.provenance.lineage import find_lineage
from orchestr.provenance.text import lineage_text
from orchestr.registry import substitute_program_name
from orchestr.run.workspace import Session
from orchestr.views.terminal.output import write_stdout

SHOWN = 20
REPO = value_option("repo", "the repository, where several have such a commit or path")


class Lineage(PlainVerb):
    """Reads records and git; no network."""

    doc_purpose = "what made a commit or a file: cell, attempt, agent, checks, people"
    doc_usage = "PATH | COMMIT"
    help_group = "view"
    only_reads = True
    examples = (
        ("lineage 23c662d944", "which attempt of which cell made this commit, and its evidence"),
        ("lineage platform/service/kas/rewrap.go", "each commit that changed the file"),
        ("lineage --repo platform main --json", "the same for programs"),
    )
    cmd_options = (
        REPO,
        value_option("number", f"how many commits of a path (default: {SHOWN}; 0: all)",
                     short="n", type_=int),
        JSON,
    )  # fmt: skip

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print it. Raises UsageError for a word that is neither a commit nor a path."""
        if len(args) != 1:
            raise UsageError("`lineage` wants one path or commit", hint="orchestr lineage COMMIT")
        if params["number"] is not None and params["number"] < 0:
            raise UsageError("-n wants a number from 0 up")
        origins = load_origins(session)
        clones = find_clones(session, params["repo"])
        place = find_path(session, clones, args[0], params["repo"])
        meant = place or find_commit(clones, args[0])
        if meant is None:
            raise UsageError(
                f"{args[0]!r} is no path and no commit in a repository of this workspace",
                hint="REPOSITORY/PATH, a path below this folder, or orchestr lineage --repo NAME",
            )
        name, word = meant
        found = find_lineage(
            origins, clones[name], name, cell_contexts(session),
            commit="" if place else word,
            path=word if place else "",
            most=SHOWN if params["number"] is None else params["number"],
        )  # fmt: skip
        if place and not found.commits:
            raise UsageError(
                f"no commit of {name} that is known here changed {word}",
                hint="git fetch there; a file that is not committed has no lineage",
            )
        if params["json"]:
            write_stdout(json.dumps(found.to_table(), indent=2, ensure_ascii=False) + "\n")
        else:
            write_stdout(substitute_program_name(lineage_text(found)))
        return int(ExitCode.DONE)
