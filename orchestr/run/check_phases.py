"""Before a run, and for `validate`: what phases of one's own need is there, prompts and programs.

A prompt that cannot be read would be found when the author is paid already.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestr.cell.agent.prompt_template import PromptTemplate
from orchestr.cell.context import CellContext
from orchestr.errors import Problem, SpecError
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.locate import locate_cell_fields
from orchestr.spec.records import Feature


def check_own_phases(cells: Iterable[CellContext]) -> Iterator[Diagnostic]:
    """Prompts that cannot be read, programs that are not on PATH; each once."""
    prompts: dict[str, list[str]] = {}
    programs: dict[str, list[str]] = {}
    root = None
    for ctx in cells:
        root = ctx.run.settings.workspace.root
        for phase in ctx.cell.own_phases:
            user = f"{ctx.cell.name} ({phase.name})"
            if phase.prompt is not None:
                prompts.setdefault(phase.prompt, []).append(user)
            program = phase.run[0] if phase.run else ""
            if program and "/" not in program and shutil.which(program) is None:
                programs.setdefault(program, []).append(user)
    for name, users in prompts.items():
        for fault in find_prompt_faults(root, name) if root is not None else ():
            what = f"{fault.message}, and phases need it: {', '.join(users)}"
            where = f"{fault.file}:{fault.line}: " if fault.line else f"{fault.file} "
            yield Diagnostic("error", f"{where}{what}", fault.hint or "")
    for name, users in programs.items():
        what = f"{name} is not there, and phases need it: {', '.join(users)}"
        yield Diagnostic("error", what, f"install {name}, or put its folder on PATH")


def find_prompt_faults(root: Path, name: str) -> list[Problem]:
    """What is wrong with a phase's prompt, a file of the workspace; its place is in that file, and
    without a line where the file itself is. The names that it uses are found when it is filled
    in."""
    if not (root / name).is_file():
        hint = f"write {name}, or correct `prompt` in the spec"
        return [Problem(name, 0, 0, "", "is not in the workspace", hint)]
    try:
        PromptTemplate(root / name, root)
    except SpecError as error:
        return list(error.problems)
    return []


def list_prompt_problems(features: Iterable[Feature], root: Path) -> Iterator[Problem]:
    """What is wrong with the prompts that specs name, each once, at its place: in the prompt, or
    for one that is not there in the spec that names it."""
    seen: set[str] = set()
    for feature in features:
        for cell in feature.cells:
            for phase in cell.own_phases:
                if phase.prompt is None or phase.prompt in seen:
                    continue
                seen.add(phase.prompt)
                for fault in find_prompt_faults(root, phase.prompt):
                    if fault.line:
                        yield fault
                        continue
                    (place,) = locate_cell_fields(root, feature.path, [(cell.name, "phases")])
                    what = f"{phase.prompt} {fault.message}, and phase `{phase.name}` needs it"
                    field = f"cells.{cell.name}.phases"
                    yield Problem(place.file, place.line, place.column, field, what, fault.hint)
