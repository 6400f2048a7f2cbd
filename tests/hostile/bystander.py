"""What an agent has no business with: the person's own checkout, refs, config and origin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Sandbox, git, write

# What is ours, and branches that an agent made beside those that were there.
OURS = (
    *("refs/orchestr/", "refs/heads/T-1-", "refs/pull/", "refs/remotes/"),
    *("refs/heads/elsewhere ", "refs/heads/fresh "),
)


@dataclass(frozen=True)
class Bystander:
    """A byte-exact picture of a clone and its origin without what is the cells' own."""

    head: bytes
    index: bytes
    config: bytes
    hooks: tuple[tuple[str, bytes], ...]
    files: tuple[tuple[str, bytes], ...]
    stash: str
    refs: tuple[str, ...]
    origin: tuple[str, ...]

    @property
    def main(self) -> str:
        """The commit of main at the origin."""
        return next(line.split()[1] for line in self.origin if "/main " in line)

    @classmethod
    def furnish(cls, repo: Sandbox) -> None:
        """Give a clone what a person has: a stash, a tag, a branch, staged and loose changes."""
        repo.git("switch", "--quiet", "-c", "mine")
        repo.commit({"mine.txt": "mine\n"}, "mine")
        repo.git("push", "--quiet", "origin", "mine:other")
        repo.git("switch", "--quiet", "main")
        repo.git("tag", "v1", "mine")
        write(repo.path, {"README.md": "# stashed\n"})
        repo.git("stash", "--quiet")
        write(repo.path, {"README.md": "# dirty\n", "staged.txt": "s\n", "loose.txt": "l\n"})
        repo.git("add", "staged.txt")

    @classmethod
    def of(cls, repo: Sandbox) -> Bystander:
        at = repo.path / ".git"
        hooks = sorted(p for p in (at / "hooks").rglob("*") if p.is_file())
        files = sorted(p for p in repo.path.iterdir() if p.is_file())
        return cls(
            (at / "HEAD").read_bytes(),
            (at / "index").read_bytes(),
            (at / "config").read_bytes(),
            tuple((p.name, p.read_bytes()) for p in hooks),
            tuple((p.name, p.read_bytes()) for p in files),
            repo.git("stash", "list", "--format=%H %gs"),
            refs(repo.path),
            refs(repo.origin) if repo.origin else (),
        )


def refs(path: Path) -> tuple[str, ...]:
    """Every ref that is not ours, with what it names."""
    lines = git(path, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return tuple(line for line in lines if not line.startswith(OURS))
