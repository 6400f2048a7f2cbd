"""`verify COMMIT`: whether exactly this commit has its evidence, by statements and records."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import JSON, flag_option, value_option
from orchestr.commands.base.provenance import find_clones, load_origins, require_commit
from orchestr.commands.base.verb import PlainVerb
from orchestr.commands.lineage import REPO
from orchestr.errors import ExitCode, OrchestrError, UsageError
from orchestr.files import read_file
from orchestr.git.repo import Repo
from orchestr.git.signatures import check_signature
from orchestr.provenance.attest import make_statements
from orchestr.provenance.origins import Origins
from orchestr.provenance.statements import SUFFIX, locate_signature, parse_statements
from orchestr.provenance.text import verify_text
from orchestr.provenance.traces import trace_commits
from orchestr.provenance.verify import (
    CellNow,
    Point,
    Subject,
    judge_commit,
    judge_signature,
    judge_without_statement,
    list_bad_lines,
)
from orchestr.registry import substitute_program_name
from orchestr.run.workspace import Session
from orchestr.views.terminal.output import write_stdout


class Verify(PlainVerb):
    """Offline; reads statements, records and git."""

    doc_purpose = "whether exactly this commit has its evidence: statements, records, signature"
    doc_usage = "COMMIT"
    help_group = "land"
    only_reads = True
    examples = (
        ("verify 23c662d944", "exit 0: all of it holds; 1: a point failed; 2: nothing is known"),
        ("verify --repo platform main --signed", "a signature is demanded, too"),
    )
    cmd_options = (
        REPO,
        value_option("attestations", "the folder of the statements (default: as `attest` has it)"),
        flag_option("signed", "a file of statements without a signature fails"),
        JSON,
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print each point. Exit 0 where all hold, 1 where one failed, 2 where nothing is known."""
        if len(args) != 1:
            raise UsageError("`verify` wants one commit", hint="orchestr verify COMMIT")
        origins = load_origins(session)
        clones = find_clones(session, params["repo"])
        name, commit = require_commit(clones, args[0], "verify")
        folder = Path.cwd() / params["attestations"] if params["attestations"] else origins.folder
        points = _find_points(session, origins, clones, name, commit, folder,
                              signed=params["signed"])  # fmt: skip
        good = bool(points) and all(one.ok for one in points)
        if params["json"]:
            rows = [asdict(one) for one in points]
            table = {"repo": name, "commit": commit, "verified": good, "points": rows}
            write_stdout(json.dumps(table, indent=2, ensure_ascii=False) + "\n")
        elif not points:
            write_stdout(f"{name} {commit[:12]}: nothing is known, orchestr did not make it\n")
        else:
            write_stdout(substitute_program_name(verify_text(commit, name, points)))
        if not points:
            return int(ExitCode.USAGE)
        return int(ExitCode.DONE if good else ExitCode.FAILED)


def _find_points(
    session: Session,
    origins: Origins,
    clones: Mapping[str, Repo],
    name: str,
    commit: str,
    folder: Path,
    *,
    signed: bool,
) -> list[Point]:
    """Every point about the commit; none where neither a statement nor a record knows it."""
    files = sorted(folder.glob(f"*{SUFFIX}"))
    try:
        data = {file: read_file(file) for file in files}
    except OSError as error:
        raise OrchestrError(f"cannot read {error.filename}: {error.strerror}") from error
    found = [one for file in files for one in parse_statements(file, data[file])]
    subject = Subject(name, commit, clones[name].resolve_tree(commit))
    points = judge_commit(subject, found, _cell_reader(origins, clones))
    if not points:
        near = list(origins.of_repository(name))
        trace = trace_commits(clones[name], near).get(commit)
        return judge_without_statement(subject, found, near, trace)
    mine = sorted({one.file for one in found if commit in one.commits})
    points += list_bad_lines(found, mine)
    for file in mine:
        signature = locate_signature(file)
        verdict = None
        if signature.exists():
            verdict = check_signature(Repo(session.root), data[file], signature)
        points.append(judge_signature(file, verdict, needed=signed))
    return points


def _cell_reader(origins: Origins, clones: Mapping[str, Repo]) -> Callable[[str, str], CellNow]:
    """What makes the statements of a cell again, from its records as they are."""

    def read_cell(feature: str, cell: str) -> CellNow:
        if not origins.knows_cell(feature, cell):
            return CellNow()
        origin = origins.find_origin(feature, cell)
        name = origins.repo_of(feature, cell)
        if name not in clones:
            return CellNow(origin.head, origin.landings)
        made = make_statements(origin, clones[name], name, only_whole=False)
        return CellNow(origin.head, origin.landings, made.statements)

    return read_cell
