"""`siblings [--pr FILE|-] [--feature F] [--ref BRANCH]`: what CI has to check out besides its own.

For a CI job, where there is no workspace: it reads the body of the pull request and prints what
its `Depends-On` lines name. In a workspace it asks the forge for commits.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.cell.pull_request.siblings import (
    SiblingCheckout,
    addresses_of_branch,
    addresses_of_feature,
    ask_forge,
    describe_address,
    select_trusted,
)
from orchestr.commands.base.options import JSON, flag_option, value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, OrchestrError, UsageError
from orchestr.forges.depends_on import ORIGINS_FILE, PullRequestAddress, read_depends_on
from orchestr.run.workspace import Session
from orchestr.settings.loader import find_workspace
from orchestr.views.terminal.output import print_stderr, write_stdout

MAX_BYTES = 32 << 20  # of a text; GitHub's events have at most 25 MB
BODY_FILE, EVENT_FILE = "ORCHESTR_CI_BODY_FILE", "GITHUB_EVENT_PATH"


class Siblings(PlainVerb):
    """Needs no workspace."""

    doc_purpose = "print what CI of a pull request has to check out besides its own"
    doc_usage = ""
    help_group = "view"
    only_reads = True
    needs_workspace = False
    examples = (
        ("siblings", "in a CI job: REPOSITORY CHECKOUT URL CLONE, a line each"),
        ("siblings --pr body.md --json", "of the text of a pull request"),
        ("siblings --feature mlkem", "in a workspace: every pull request of it"),
    )
    cmd_options = (
        value_option("pr", "file with the text of the pull request, - for stdin"),
        value_option("feature", "in a workspace: the pull requests of this feature"),
        value_option("ref", "in a workspace: what the pull request of this branch depends on"),
        flag_option(
            "any_owner", "on GitHub Actions: repositories of other owners count, too",
            long="any-owner",
        ),
        JSON,
    )  # fmt: skip

    def run_verb(self, session: Session | None, params: Any, args: list[str]) -> int:
        """Print a line for each, or JSON."""
        if args:
            raise UsageError("`siblings` takes options only", hint="orchestr help siblings")
        if params["pr"] is not None and (params["ref"] or params["feature"]):
            raise UsageError("--pr names the text itself", hint="leave out --ref and --feature")
        session = _find_session(needed=bool(params["ref"] or params["feature"]))
        names = [params["feature"]] if params["feature"] else []
        if session is not None and not names:
            names = list(session.specs.features)
        runs = [session.load_run(name) for name in names] if session is not None else []
        others: list[str] = []
        if params["ref"]:
            addresses = addresses_of_branch(runs, params["ref"])
        elif params["feature"]:
            addresses = addresses_of_feature(runs[0])
        else:
            addresses, others = read_depends_on(_read_body(params["pr"]))
        addresses = _leave_out_strangers(addresses, any_owner=params["any_owner"])
        found, warnings = ask_forge(runs, addresses) if runs else ([], [])
        found = found or [describe_address(address) for address in addresses]
        found = [_fill_clone(one, read_origins(os.environ)) for one in found]
        for text in (*(f"not the address of a pull request: {one}" for one in others), *warnings):
            print_stderr(f"warning: {text}")
        if params["json"]:
            table = {"siblings": [one.to_table() for one in found], "unreadable": others}
            write_stdout(json.dumps(table, indent=2) + "\n")
        for one in found if not params["json"] else ():
            write_stdout(f"{one.repository} {one.checkout} {one.url} {one.clone or '-'}\n")
        return int(ExitCode.DONE)


def _leave_out_strangers(
    addresses: list[PullRequestAddress], *, any_owner: bool
) -> list[PullRequestAddress]:
    kept, strangers = select_trusted(addresses, os.environ)
    if any_owner:
        return addresses
    for url in strangers:
        print_stderr(f"warning: {url} is of another owner and left out (--any-owner takes it)")
    return kept


def read_origins(environ: Mapping[str, str]) -> dict[str, str]:
    """Where CI of the local forge says that repositories can be cloned from: behind the wall the
    workspace's state cannot be read. Empty elsewhere."""
    named = environ.get(ORIGINS_FILE)
    if not named:
        return {}
    try:
        found = json.loads(_read_text(Path(named)))
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _fill_clone(one: SiblingCheckout, origins: Mapping[str, str]) -> SiblingCheckout:
    return one if one.clone else replace(one, clone=origins.get(one.repository, ""))


def _find_session(*, needed: bool) -> Session | None:
    """The workspace around this folder. A CI job has none. Raises UsageError when it is needed."""
    try:
        root = find_workspace(Path.cwd())
    except UsageError:
        if needed:
            raise
        return None
    return Session(root)


def _read_body(named: str | None) -> str:
    """The text of the pull request. Raises UsageError where none is given."""
    if named == "-":
        return sys.stdin.read(MAX_BYTES)
    if named is not None:
        return _read_text(Path(named))
    if os.environ.get(BODY_FILE):
        return _read_text(Path(os.environ[BODY_FILE]))
    if os.environ.get(EVENT_FILE):
        return _read_event_body(Path(os.environ[EVENT_FILE]))
    raise UsageError(
        f"which pull request? Neither {BODY_FILE} nor {EVENT_FILE} is set",
        hint="orchestr siblings --pr FILE (- for stdin), --ref BRANCH or --feature FEATURE",
    )


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise OrchestrError(
            f"cannot read {path}: {error.strerror}", hint="orchestr siblings --pr FILE"
        ) from error


def _read_event_body(path: Path) -> str:
    """The body in an event of GitHub Actions; empty for an event without a pull request."""
    try:
        event = json.loads(_read_text(path))
    except ValueError as error:
        raise OrchestrError(
            f"{path} is no event of GitHub Actions: {error}", hint="orchestr siblings --pr FILE"
        ) from error
    pull_request = event.get("pull_request") if isinstance(event, dict) else None
    body = pull_request.get("body") if isinstance(pull_request, dict) else None
    return body if isinstance(body, str) else ""
