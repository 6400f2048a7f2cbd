"""What `lineage`, `attest` and `verify` share: origins, clones, the commit that is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError, UsageError
from orchestr.git.repo import CommitId, Repo
from orchestr.provenance.origins import Origins
from orchestr.run.workspace import Session, suggest_name
from orchestr.settings.repo_paths import repo_path

_HEX = re.compile(r"[0-9a-fA-F]{4,64}")


def load_origins(session: Session) -> Origins:
    """The origins of every cell of the workspace, under their names of now."""
    for name in session.specs.features:
        session.find_feature(name)  # learns the renames
    return Origins(session.layout, session.specs.features, session.open_journal)


def cell_contexts(session: Session) -> dict[str, CellContext]:
    """The cells of all specs that can be read, by `FEATURE:CELL`."""
    found: dict[str, CellContext] = {}
    for name in session.specs.features:
        run = session.load_run(name)
        found |= {f"{name}:{cell.name}": run.cell_context(cell.name) for cell in run.feature.cells}
    return found


def find_clones(session: Session, named: str | None) -> dict[str, Repo]:
    """The clones of the workspace's repositories that are here, by name; ``named``: that one alone.

    Raises UsageError for a name that neither specs nor settings have, and where it is not here.
    """
    places = _locate_clones(session)
    if named is not None and named not in places:
        hint = suggest_name(named, places) or f"repositories: {', '.join(sorted(places))}"
        raise UsageError(f"the workspace has no repository {named!r}", hint=hint)
    found: dict[str, Repo] = {}
    for name in [named] if named is not None else sorted(places):
        repo = Repo(places[name])
        if repo.path.is_dir() and repo.explain_unusable() is None:
            found[name] = repo
    if named is not None and not found:
        raise UsageError(f"repository {named!r} is not at {places[named]}", hint="orchestr doctor")
    return found


def _locate_clones(session: Session) -> dict[str, Path]:
    """Where the clone of each repository is that a spec or the settings name."""
    places = {name: repo_path(session.settings, name) for name in session.settings.repos}
    for ctx in cell_contexts(session).values():  # a feature knows where what it pushes lies
        places[ctx.cell.repo] = ctx.repo_path
    return places


def find_commit(clones: dict[str, Repo], word: str) -> tuple[str, CommitId] | None:
    """The repository and the commit that ``word`` names; None where it names none.

    Raises UsageError where several clones have such a commit.
    """
    rows = ((name, _resolve_word(repo, word)) for name, repo in clones.items())
    found = [(name, commit) for name, commit in rows if commit is not None]
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise UsageError(f"{word!r} is a commit in {names}", hint="name one: --repo NAME")
    return found[0] if found else None


def require_commit(clones: dict[str, Repo], word: str, verb: str) -> tuple[str, CommitId]:
    """As `find_commit`. Raises UsageError where no clone has it."""
    found = find_commit(clones, word)
    if found is None:
        raise UsageError(
            f"no clone of the workspace has a commit {word!r}",
            hint=f"git fetch in its repository, or orchestr {verb} --repo NAME COMMIT",
        )
    return found


def find_path(
    session: Session, clones: dict[str, Repo], word: str, named: str | None
) -> tuple[str, str] | None:
    """The repository and the path in it that ``word`` means: a file here (in a clone or in a cell's
    worktree), `REPOSITORY/PATH`, or with ``named`` a path of it, deleted ones included.

    None where it is none of them.
    """
    if named is not None:
        return (named, word) if _has_history(clones[named], word) else None
    place = Path.cwd() / word
    for name, roots in _list_roots(session, clones):
        for root in roots:
            if place.is_relative_to(root) and place != root:
                return name, str(place.relative_to(root))
    first, _, rest = word.partition("/")
    return (first, rest) if rest and first in clones and _has_history(clones[first], rest) else None


def _list_roots(session: Session, clones: dict[str, Repo]) -> Iterable[tuple[str, list[Path]]]:
    trees: dict[str, list[Path]] = {name: [repo.path] for name, repo in clones.items()}
    for ctx in cell_contexts(session).values():
        if ctx.cell.repo in trees:
            trees[ctx.cell.repo].insert(0, ctx.worktree)
    return trees.items()


def _resolve_word(repo: Repo, word: str) -> CommitId | None:
    """A commit by its id or a ref; what only looks like an id is asked for as one."""
    try:
        found = repo.resolve_commit(word)
    except OrchestrError:
        return None
    if found is not None and _HEX.fullmatch(word) and not found.startswith(word.lower()):
        return None  # a branch whose name looks like an id
    return found


def _has_history(repo: Repo, path: str) -> bool:
    """Whether any ref of a clone knows the path, or did."""
    try:
        words = ("log", "--all", "--max-count=1", "--format=%H", "--", f":(top,literal){path}")
        return bool(repo.run_readonly(*words).text.strip())
    except OrchestrError:
        return False
