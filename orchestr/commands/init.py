"""`init [FOLDER]`: a new workspace that works at once; nothing that is there is overwritten.

With `--skill` it writes the skills for the user's own agent instead, into any folder.
"""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import flag_option, repeated_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import OrchestrError, UsageError
from orchestr.run.workspace import Session
from orchestr.settings.loader import load_settings
from orchestr.settings.new_workspace import (
    EXAMPLE,
    SETTINGS,
    RepoEntry,
    Surroundings,
    WorkspaceFiles,
    repo_table,
    write_workspace,
)
from orchestr.settings.skill_files import FOLDERS, SkillStep, write_skills
from orchestr.views.terminal.output import write_stdout

_FORGES = {"github": "GitHub, by gh", "gitlab": "GitLab", "forgejo": "Forgejo", "gitea": "Gitea"}


class Init(PlainVerb):
    """Needs no workspace."""

    doc_purpose = "make a new workspace for the repositories around it"
    doc_usage = "[FOLDER]"
    help_group = "workspace"
    examples = (
        ("init ws", "a new workspace with an example that runs"),
        ("init --skill claude", "teach your own agent to write, check and run specs"),
    )
    cmd_options = (
        repeated_option(
            "skill",
            f"only write the skills for your agent: {' or '.join(FOLDERS)}; may be repeated",
        ),
        flag_option("force", "with --skill: replace files that you changed, keeping a copy"),
    )
    needs_workspace = False

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Look around, write settings, an example and its demo agent; say what was kept."""
        from orchestr.commands.base.survey import survey_folder

        if len(args) > 1:
            raise UsageError(
                f"`init` wants one folder, not {len(args)}", hint="orchestr init FOLDER"
            )
        came = os.environ.get("ORCHESTR_FROM")  # a wrapper that went to its own folder (`doitw`)
        folder = Path(came or ".", *args[:1])
        if params["skill"]:
            return _write_skills(folder, params["skill"], force=params["force"])
        if params["force"]:
            raise UsageError(
                "--force goes with --skill: a workspace's files are never overwritten",
                hint="orchestr init --skill claude --force",
            )
        survey = survey_folder(folder)
        result = write_workspace(folder, survey.found)
        if SETTINGS in result.written:
            for line in _describe_surroundings(survey.found):
                write_stdout(f"{line}\n")
            for why in survey.passed:
                write_stdout(f"passed over: {why}\n")
            if survey.more:
                write_stdout(f"{survey.more} more repositories: a spec may name those beside it\n")
        for path in result.written:
            write_stdout(f"made {path}\n")
        for path in result.kept:
            write_stdout(f"kept {path}, it was there\n")
        if SETTINGS in result.kept:
            for repo in _list_new_repos(folder, survey.found):
                write_stdout(f"repository {repo.name} is not in {SETTINGS}; to add it there:\n")
                write_stdout(textwrap.indent(repo_table(repo), "    "))
        outer = next((p for p in folder.absolute().parents if (p / SETTINGS).is_file()), None)
        if outer is not None and SETTINGS in result.written:
            write_stdout(
                f"warning: {outer} is a workspace, too; inside this folder the new one counts\n"
            )
        place = str(folder if came else args[0]) if args else ""
        dashed = "-- " if place.startswith("-") else ""
        there = f"cd {dashed}{shlex.quote(place)} && " if args else ""
        # The wrapper is not in the new workspace; the program beside our python is everywhere.
        program = (
            shlex.quote(str(Path(sys.executable).with_name("orchestr"))) if came else "orchestr"
        )
        if SETTINGS in result.written:
            words = f'{program} draft NAME "what is wanted, and why"'
            write_stdout(f"a feature of your own: {words} (without an agent: --no-agent)\n")
        write_stdout(f"next: {there}{program} {_next_verb(result)}\n")
        return 0


def _write_skills(folder: Path, readers: Sequence[str], *, force: bool) -> int:
    """Write the skills and say what became of each file. Raises UsageError."""
    unknown = [name for name in readers if name not in FOLDERS]
    if unknown:
        raise UsageError(
            f"there are no skills for {unknown[0]!r}: {' or '.join(FOLDERS)}",
            hint="orchestr init --skill claude",
        )
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", hint=f"mkdir -p {folder}")
    kept = []
    for reader in dict.fromkeys(readers):
        for one in write_skills(folder, reader, force=force):
            match one.step:
                case SkillStep.SAME:
                    write_stdout(f"kept {one.path}, it is up to date\n")
                case SkillStep.KEEP:
                    write_stdout(f"kept {one.path}: it was changed by hand\n")
                    kept.append(reader)
                case SkillStep.REPLACE:
                    write_stdout(f"replaced {one.path}; your text is in {one.copy}\n")
                case SkillStep.MAKE | SkillStep.UPDATE:
                    write_stdout(f"{one.step.value} {one.path}\n")
    if kept:
        write_stdout(f"to take ours: orchestr init --skill {kept[0]} --force (keeps a copy)\n")
    if not any((place / SETTINGS).is_file() for place in folder.absolute().joinpath("x").parents):
        write_stdout("there is no workspace here yet; to make one: orchestr init\n")
    return 0


def _list_new_repos(folder: Path, found: Surroundings) -> list[RepoEntry]:
    """What lies around that kept settings do not name; nothing where they cannot be read."""
    try:
        known = load_settings(folder, os.environ).repos
    except OrchestrError:
        return []  # `next:` leads to the errors
    paths = {repo.path.resolve() for repo in known.values() if repo.path is not None}
    return [
        repo
        for repo in found.repos
        if repo.name not in known and (folder / repo.path).resolve() not in paths
    ]


def _describe_surroundings(found: Surroundings) -> Iterator[str]:
    """What was found, a line for each part of it."""
    for repo in found.repos:
        seen = ", ".join(check.reason for check in repo.ready_checks)
        seen = seen or ("none as it is" if repo.checks else "none detected")
        yield f"repository {repo.name} at {repo.path}; checks: {seen}"
        yield from (f"  not used: {c.reason}, but {c.obstacle}" for c in repo.checks if c.obstacle)
        if repo.unpublished:
            yield f"  the example opens no pull request there: {repo.unpublished}"
    if not found.repos:
        yield (
            "no git repository is here, below or beside: the example works in one of its own, "
            "playground/"
        )
    if found.agents:
        others = "".join(f", {name}" for name in found.agents[1:])
        yield f"agent {found.agents[0]}{others}; without cost: --agent demo"
    else:
        yield "agent demo, a script that only plays: no agent's program is on PATH (docs/agents.md)"
    why = "; ".join(filter(None, (*found.forge_why_not.values(), found.forge_unknown)))
    if found.forge:
        beside = {repo.forge for repo in found.repos if repo.forge}
        kinds = ", ".join(_FORGES.get(kind, kind) for kind in (found.forge, *sorted(beside)))
        yield f"forge: {kinds}{f' ({why})' if why else ''}"
    else:
        yield f"forge: the folder .orchestr/forge{f' ({why})' if why else ''}"


def _next_verb(result: WorkspaceFiles) -> str:
    if EXAMPLE in (*result.written, *result.kept):
        return "run example"
    return "list"
