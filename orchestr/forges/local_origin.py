"""The origin of a repository as the local forge sees it: its refs, and what contains what.

A local origin (a folder) is asked and written directly. Any other is reached through the
clone: ls-remote, a fetch that moves no ref (so it needs no lock of the clone), a push of
``refs/pull/N/head``. Nothing here touches a branch but `Origin.merge_into_branch`.

The invariant: an origin that does not answer is `ForgeAway`, whatever was asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

from orchestr.forges.base import ForgeAway, ForgeError, RepoRef
from orchestr.git.errors import NoSuchRef, remote_failed
from orchestr.git.missing_objects import find_missing_objects
from orchestr.git.repo import CommitId, GitError, RemoteAway, Repo
from orchestr.git.runner import ANY_EXIT, YES_OR_NO_REMOTE
from orchestr.process.run import ProcessTimeout

TIMEOUT = 120.0  # seconds for one question to an origin
HEADS = "refs/heads/"
PULLS = "refs/pull/"


def pull_ref(number: int) -> str:
    """The ref that keeps the head of a pull request at the origin."""
    return f"{PULLS}{number}/head"


def local_path(url: str, clone: Path) -> Path | None:
    """The folder that a remote's URL means, by git's own rules; None for a real network.

    A colon before the first slash is ssh (``host:path``) or a helper (``ext::``).
    """
    if url.startswith("file:///"):
        return Path(unquote(url.removeprefix("file://")))
    before, colon, _ = url.partition(":")
    if colon and "/" not in before:
        return None
    return clone / url


class Origin:
    """One look at the origin of ``ref``; made anew for each call of the forge."""

    def __init__(self, ref: RepoRef) -> None:
        self.ref = ref
        self.clone = Repo(ref.path, timeout=TIMEOUT)
        if not ref.path.is_dir():
            raise ForgeAway(
                f"repository {ref.name}: there is no clone at {ref.path}",
                hint=f"clone it there, or set [repos.{ref.name}] path in orchestr.toml",
            )
        asked = self.clone.run_readonly(
            "remote", "get-url", "--", ref.remote, answers=YES_OR_NO_REMOTE
        )
        folder = local_path(asked.text.strip(), ref.path) if asked.code == 0 else None
        self.direct = folder is not None and folder.is_dir()
        self.objects = Repo(folder, timeout=TIMEOUT) if folder and self.direct else self.clone
        self._fetched = self.direct
        with self._translate_git_errors():
            self.refs: Mapping[str, str] = self._read_refs()

    # --- reading ---------------------------------------------------------------------------

    def _read_refs(self) -> dict[str, str]:
        """The branches and pull requests at the origin; a folder is read without a transport."""
        if self.direct:
            with suppress(GitError):
                return self.objects.list_refs(HEADS, PULLS)
        return self.clone.ls_remote(self.ref.remote, f"{HEADS}*", f"{PULLS}*", timeout=TIMEOUT)

    def branch_head(self, name: str) -> CommitId | None:
        """The commit of a branch at the origin, as the one look showed it."""
        sha = self.refs.get(f"{HEADS}{name}")
        return CommitId(sha) if sha else None

    def has_commit(self, sha: str) -> bool:
        """Whether the commit can be asked about."""
        with self._translate_git_errors():
            self._fetch_missing_branches()
            return self.objects.resolve_commit(sha) is not None

    def contains_commit(self, tip: str, sha: str) -> bool:
        """Whether ``tip`` is ``sha`` or came after it; False for an unknown commit."""
        with self._translate_git_errors():
            self._fetch_missing_branches()
            if tip == sha:
                return True
            known = self.objects.resolve_commit(sha) and self.objects.resolve_commit(tip)
            return bool(known) and self.objects.is_ancestor(sha, tip)

    def count_ahead(self, base: str, head: str) -> int:
        """How many commits ``head`` has beyond ``base``; -1 when they share no history."""
        with self._translate_git_errors():
            self._fetch_missing_branches()
            if self.objects.merge_base(base, head) is None:
                return -1
            return self.objects.count_commits(base, head)

    def mainline_commits(self, old: str, tip: str) -> frozenset[str]:
        """The commits that ``tip`` itself went through since ``old`` (its first parents)."""
        with self._translate_git_errors():
            self._fetch_missing_branches()
            span = f"{old}..{tip}" if self.objects.resolve_commit(old) else tip
            done = self.objects.run_readonly("rev-list", "--first-parent", span, "--")
            return frozenset(done.text.split())

    def has_changes_of(self, tip: str, head: str) -> bool:
        """Whether every change of ``head`` has an equal one in ``tip`` (a rebase of it)."""
        with self._translate_git_errors():
            self._fetch_missing_branches()
            if self.objects.resolve_commit(head) is None:
                return False
            done = self.objects.run_readonly(
                "rev-list", "--count", "--cherry-pick", "--left-only", "--no-merges",
                f"{head}...{tip}", "--",
            )  # fmt: skip
            return done.text.strip() == "0"

    def can_merge(self, tip: str, head: str) -> bool:
        """Whether ``head`` merges into ``tip`` without a conflict; both must be known."""
        with self._translate_git_errors():
            self._fetch_missing_branches()
            if self.objects.merge_base(tip, head) is None:
                return False
            return self.objects.merge_trees(tip, head).tree is not None

    # --- writing ---------------------------------------------------------------------------

    def keep_pull_refs(self, heads: Mapping[int, str]) -> None:
        """Let ``refs/pull/N/head`` hold these commits; unknown ones are passed over.

        The files are the truth and the next look tries again, so a refusal is no error: a
        hosting server keeps ``refs/pull`` to itself, an origin may be read-only for us.
        """
        wrong = {n: s for n, s in heads.items() if self.refs.get(pull_ref(n)) != s}
        if self.direct:
            for number, sha in wrong.items():
                with self._translate_git_errors(), suppress(GitError):
                    self.objects.update_ref(pull_ref(number), CommitId(sha))
            return
        wrong = {number: sha for number, sha in wrong.items() if self.has_commit(sha)}
        if not wrong:
            return
        with self._translate_git_errors(), suppress(GitError):
            # The commits are at the origin already, under their branches: no hook of the clone
            # has anything to say about a second name for them.
            specs = [f"+{sha}:{pull_ref(number)}" for number, sha in wrong.items()]
            args = ("push", "--quiet", "--no-verify", "--no-follow-tags", "--")
            self.clone.run_git(*args, self.ref.remote, *specs, answers=ANY_EXIT, timeout=TIMEOUT)

    def merge_into_branch(self, base: str, head: str, message: str) -> CommitId:
        """Merge ``head`` into the branch ``base`` at the origin, as a forge's button does.

        Raises ForgeError: a conflict, a base that moved or is checked out there.
        """
        tip = self.branch_head(base)
        if tip is None:
            raise ForgeError(f"{self.ref.name}: there is no branch {base} at the origin")
        with self._translate_git_errors():
            self._fetch_missing_branches()
            merged = self.objects.merge_trees(tip, head)
            if merged.tree is None:
                files = ", ".join(merged.conflicts[:5])
                raise ForgeError(f"{self.ref.name}: {head[:12]} conflicts with {base} in {files}")
            commit = self.objects.commit_tree(merged.tree, (tip, CommitId(head)), message)
            if not self.direct:
                self._push_to_branch(commit, base)
            elif not self.objects.is_bare() and self.objects.head_branch() == base:
                raise ForgeError(
                    f"{self.ref.name}: {base} is checked out at the origin {self.objects.path}",
                    hint="merge it there by hand",
                )
            else:
                self.objects.update_ref(f"{HEADS}{base}", commit, tip)
        return commit

    def _push_to_branch(self, commit: CommitId, base: str) -> None:
        args = ("push", "--quiet", "--", self.ref.remote, f"{commit}:{HEADS}{base}")
        self.clone.run_git(*args, timeout=TIMEOUT)

    # --- the way there ---------------------------------------------------------------------

    def _fetch_missing_branches(self) -> None:
        """Bring what the clone lacks of the origin's branches into it, once, moving no ref.

        Names go by stdin (there may be thousands); ``--refmap=`` keeps the remote-tracking
        branches, which other fetches move under the clone's lock, out of it.
        """
        if self._fetched:
            return
        heads = {ref: sha for ref, sha in self.refs.items() if ref.startswith(HEADS)}
        lacking = find_missing_objects(self.clone, heads.values())
        names = "".join(f"{ref}\n" for ref, sha in heads.items() if sha in lacking).encode()
        if names:
            done = self.clone.run_git(
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=",
                "--recurse-submodules=no", "--stdin", "--", self.ref.remote,
                input=names, answers=ANY_EXIT, timeout=TIMEOUT,
            )  # fmt: skip
            if done.code != 0:
                raise remote_failed(done, str(self.ref.path), self.ref.remote, True)
        self._fetched = True

    @contextmanager
    def _translate_git_errors(self) -> Iterator[None]:
        name = self.ref.name
        try:
            yield
        except (RemoteAway, NoSuchRef) as error:  # or a branch went between look and fetch
            raise ForgeAway(f"repository {name}: {error.message}", hint=error.hint) from error
        except ProcessTimeout as error:
            raise ForgeAway(f"repository {name}: {error.message}") from error
        except GitError as error:
            raise ForgeError(f"repository {name}: {error.message}", hint=error.hint) from error
