"""Reading the repositories for `orchestr.draft.repo_map`: a handful of git commands for each.

Everything is read from the commit that a cell would start from, as far as it is known here: nothing
is fetched, and what lies uncommitted in a clone is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from orchestr.checks.detect import detect_checks, proposal_as_yaml
from orchestr.draft import repo_map
from orchestr.draft.repo_map import RepoFacts, TreeFile
from orchestr.errors import OrchestrError, UsageError
from orchestr.git.bases import find_base
from orchestr.git.open_clone import open_clone
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import YES_OR_FATAL, YES_OR_NO, split_records
from orchestr.settings.records import Settings
from orchestr.settings.repo_paths import repo_path

PROTOS = 40  # whose package is read, of one repository
_MATCHES = 1 << 20  # bytes of matches that are looked at


def choose_repositories(settings: Settings, named: Sequence[str]) -> list[str]:
    """The repositories that a draft may use: the named ones, else all of the settings.

    Raises UsageError for one that is not there and that nothing can make.
    """
    chosen = list(named or settings.repos)
    if not chosen:
        raise UsageError(
            "no repository is known: which ones is it about?",
            hint="name them in orchestr.toml, [repos.NAME], or in the front matter of the intent",
        )
    for name in chosen:
        known = settings.repo_settings(name)
        if not (known.url or known.create or repo_path(settings, name).is_dir()):
            raise UsageError(
                f"repository {name!r} is not at {repo_path(settings, name)}",
                hint=f"clone it there, or set [repos.{name}] path or url in orchestr.toml",
            )
    return chosen


def find_start(settings: Settings, name: str) -> tuple[Repo, str, CommitId]:
    """A repository, the branch that its cells start from, and its commit. Raises OrchestrError."""
    path = repo_path(settings, name)
    repo = open_clone(settings, name)
    if not path.is_dir() or (why := repo.explain_unusable()) is not None:
        what = why[0] if path.is_dir() and why is not None else f"there is no clone at {path}"
        raise OrchestrError(
            f"repository {name}: {what}", hint=f"set [repos.{name}] path to a clone"
        )
    base = settings.repo_settings(name).base or repo.default_branch() or "HEAD"
    commit = find_base(repo, base) or repo.resolve_commit(base) or repo.resolve_commit("HEAD")
    if commit is None:
        raise OrchestrError(f"repository {name}: it has no commit", hint=f"git -C {path} log")
    return repo, base, commit


def read_heads(settings: Settings, names: Sequence[str]) -> dict[str, str]:
    """The commit that each repository's cells would start from."""
    return {name: find_start(settings, name)[2] for name in names}


def read_facts(
    settings: Settings, names: Sequence[str], checkouts: Mapping[str, Path]
) -> dict[str, RepoFacts]:
    """The map of the repositories; ``checkouts`` are folders in which their checks are detected."""
    files: dict[str, list[TreeFile]] = {}
    facts: dict[str, RepoFacts] = {}
    starts: dict[str, tuple[Repo, CommitId]] = {}
    for name in names:
        repo, base, commit = find_start(settings, name)
        starts[name] = repo, commit
        files[name] = _list_files(repo, commit)
        own = settings.repo_settings(name).checks
        found = [f"{check.kind} {check.name}".strip() for check in own] or [
            proposal_as_yaml(one)
            for one in detect_checks(checkouts.get(name) or repo_path(settings, name))
        ]
        facts[name] = RepoFacts(
            name,
            commit,
            base,
            repo_map.count_languages(files[name]),
            repo_map.count_folders(files[name]),
            _read_owners(repo, commit, files[name]),
            tuple(found),
            bool(own),
            repo_map.find_contracts(files[name]),
            _read_packages(repo, commit, files[name]),
        )
    for name in names:
        facts[name] = replace(facts[name], uses=_find_uses(*starts[name], name, facts, files))
    return facts


def _list_files(repo: Repo, commit: CommitId) -> list[TreeFile]:
    done = repo.run_readonly("ls-tree", "-r", "-l", "-z", commit)
    found = []
    for record in split_records(done.out):
        head, _, path = record.partition("\t")
        words = head.split()
        if len(words) == 4 and words[1] == "blob":
            found.append(TreeFile(path, words[2], int(words[3]) if words[3].isdecimal() else 0))
    return found


def _read_blob(repo: Repo, commit: CommitId, path: str) -> str:
    done = repo.run_readonly("cat-file", "blob", f"{commit}:{path}", answers=YES_OR_FATAL)
    return done.out[:_MATCHES].decode("utf-8", "replace") if done.code == 0 else ""


def _read_owners(repo: Repo, commit: CommitId, files: Sequence[TreeFile]) -> tuple[str, ...]:
    there = {one.path for one in files}
    path = next((path for path in repo_map.OWNERS if path in there), None)
    return () if path is None else repo_map.read_owners(_read_blob(repo, commit, path))


def _read_packages(repo: Repo, commit: CommitId, files: Sequence[TreeFile]) -> tuple[str, ...]:
    named = [one for one in files if PurePosixPath(one.path).name in repo_map.NAMED]
    protos = [one for one in files if one.path.endswith(".proto")]
    wanted = [*sorted(named, key=lambda one: one.path.count("/"))[:PROTOS], *protos[:PROTOS]]
    found: dict[str, None] = {}
    for one in wanted:
        found |= dict.fromkeys(repo_map.read_packages(one.path, _read_blob(repo, commit, one.path)))
    return tuple(found)


def _find_uses(
    repo: Repo,
    commit: CommitId,
    name: str,
    facts: Mapping[str, RepoFacts],
    files: Mapping[str, list[TreeFile]],
) -> dict[str, str]:
    """What this repository uses of the others, by names in its manifests and by copied files."""
    others = [one for one in facts.values() if one.name != name]
    packages = [p for one in others for p in one.packages if len(p) >= repo_map.SHORTEST]
    seen = _grep_names(repo, commit, packages)
    uses: dict[str, str] = {}
    for one in others:
        named = [package for package in one.packages if package in seen]
        copies = repo_map.find_copies(files[name], files[one.name]) if one.contracts else ()
        if named:
            uses[one.name] = f"its {', '.join(named[:3])}"
        elif copies and not facts[name].contracts:
            uses[one.name] = f"a copy in {', '.join(copies[:3])}"
    return uses


def _grep_names(repo: Repo, commit: CommitId, names: Sequence[str]) -> set[str]:
    """Which of the names stand in the manifests and protos of a commit."""
    if not names:
        return set()
    words = [word for name in dict.fromkeys(names) for word in ("-e", name)]
    places = [f":(glob)**/{name}" for name in repo_map.MANIFESTS] + [":(glob)**/*.proto"]
    done = repo.run_readonly(
        "grep", "-I", "-h", "-o", "-w", "--fixed-strings", *words, commit, "--", *places,
        answers=YES_OR_NO,
    )  # fmt: skip
    return set(done.out[:_MATCHES].decode("utf-8", "replace").splitlines())
