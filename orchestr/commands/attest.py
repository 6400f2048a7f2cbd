"""`attest FEATURE`: in-toto statements about its heads and landings, signed with git's key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestr.cell.context import FeatureRun
from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.provenance import load_origins
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, OrchestrError, UsageError
from orchestr.files import display_path, read_file, write_atomic, write_if_changed
from orchestr.git.repo import Repo
from orchestr.git.signatures import check_signature, find_signing_key, sign_data
from orchestr.provenance.attest import make_statements
from orchestr.provenance.origins import Origins
from orchestr.provenance.statements import SUFFIX, encode_statements, locate_signature
from orchestr.registry import substitute_program_name
from orchestr.run.workspace import Session
from orchestr.views.terminal.output import print_stderr, write_stdout


class Attest(PlainVerb):
    """Writes one file, `FEATURE.intoto.jsonl`, and its signature; no network."""

    doc_purpose = "in-toto statements about a feature's heads and landings, signed with git's key"
    doc_usage = "FEATURE"
    help_group = "land"
    examples = (
        ("attest mlkem", "write .orchestr/attestations/mlkem.intoto.jsonl"),
        ("attest mlkem --out provenance", "the same into another folder"),
    )
    cmd_options = (
        value_option("out", "the folder (default: attestations in the state folder)"),
        flag_option("unsigned", "do not sign, also where git has a key"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Write and sign; exit 1 where a head was left out because its records are not whole."""
        if len(args) != 1:
            raise UsageError("`attest` wants one feature", hint="orchestr attest FEATURE")
        feature = session.parse_target(args[0])
        if feature.cell is not None:
            raise UsageError(
                "`attest` is about a whole feature", hint=f"orchestr attest {feature.feature}"
            )
        run = session.load_run(feature.feature)
        origins = load_origins(session)
        folder = Path.cwd() / params["out"] if params["out"] else origins.folder
        statements, refused = _make_all(run, origins)
        if not statements:
            raise OrchestrError(
                f"{feature.feature} has no head that can be attested",
                hint=f"orchestr status {feature.feature}",
            )
        file = folder / f"{feature.feature}{SUFFIX}"
        data = encode_statements(statements)
        how = write_signed(file, data, Repo(session.root), signed=not params["unsigned"])
        shown = display_path(file, session.root)
        write_stdout(f"{shown}: {len(statements)} statements, {how}\n")
        write_stdout(substitute_program_name("next: orchestr verify COMMIT\n"))
        return int(ExitCode.FAILED if refused else ExitCode.DONE)


def write_signed(file: Path, data: bytes, place: Repo, *, signed: bool) -> str:
    """Write the file and, beside it, its signature; how it is signed, in words. Raises CannotSign.

    A signature of other bytes never stands beside the file: it is removed before. What is written
    and validly signed already stays, as some keys sign the same bytes otherwise each time.
    """
    signature = locate_signature(file)
    key = find_signing_key(place) if signed else None
    if key is not None and _read_if_there(file) == data and signature.exists():
        verdict = check_signature(place, data, signature)
        if verdict.valid:
            return f"signed already, by {verdict.signer}"
    made = sign_data(key, data, place) if key is not None else None
    signature.unlink(missing_ok=True)
    write_if_changed(file, data)
    if key is None or made is None:
        return "not signed: git has no user.signingKey" if signed else "not signed (--unsigned)"
    write_atomic(signature, made)
    return f"signed with {key.label} ({key.form})"


def _read_if_there(file: Path) -> bytes | None:
    try:
        return read_file(file)
    except OSError:
        return None


def _make_all(run: FeatureRun, origins: Origins) -> tuple[list[Mapping[str, Any]], bool]:
    """The statements of all cells, in the order of the spec; whether a head was refused one."""
    statements: list[Mapping[str, Any]] = []
    refused = False
    for cell in run.feature.cells:
        ctx = run.cell_context(cell.name)
        made = make_statements(
            origins.find_origin(run.feature.name, cell.name), ctx.repo, cell.repo
        )
        statements += made.statements
        refused = refused or bool(made.refused)
        for text in made.notes:
            print_stderr(f"{ctx.name}: {text}")
        if made.refused:
            print_stderr(f"error: {ctx.name} has no statement: {made.refused}")
    return statements, refused
