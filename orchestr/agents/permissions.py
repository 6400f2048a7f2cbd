"""What an agent may run in a repository: a table by kind of repository, and what no agent needs.

Owns the table and how kinds are recognised; how an agent is given them is its adapter's business.
It is a guard against accidents, no sandbox: an agent that may run `make` may run anything. What
really holds is that no push works from an agent's git and no forge token is in its environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from orchestr.agents.base import ToolPermissions

# For every repository. What changes files in the worktree is allowed by the edit mode.
UNIVERSAL = (
    "git", "ls", "cat", "head", "tail", "grep", "rg", "find", "sed", "awk", "sort", "uniq", "wc",
    "diff", "echo", "printf", "pwd", "which", "test", "true", "mkdir", "cp", "mv", "touch", "rm",
    "jq", "yq", "xargs", "tr", "cut", "basename", "dirname", "date",
)  # fmt: skip

# File of a repository -> commands.
KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("go.mod", ("go", "gofmt", "golangci-lint")),
    ("go.work", ("go", "gofmt", "golangci-lint")),
    ("Makefile", ("make",)),
    ("buf.yaml", ("buf", "protoc")),
    ("buf.gen.yaml", ("buf", "protoc")),
    ("buf.work.yaml", ("buf", "protoc")),
    ("pom.xml", ("mvn", "./mvnw", "java", "javac")),
    ("build.gradle", ("gradle", "./gradlew", "java", "javac")),
    ("build.gradle.kts", ("gradle", "./gradlew", "java", "javac")),
    ("package.json", ("npm", "npx", "node", "pnpm", "yarn", "tsc")),
    ("Cargo.toml", ("cargo", "rustc", "rustfmt")),
    ("pyproject.toml", ("python", "python3", "pytest", "uv", "ruff", "mypy", "tox", "pip")),
    ("setup.py", ("python", "python3", "pytest", "tox", "pip")),
    ("requirements.txt", ("python", "python3", "pytest", "pip")),
    ("CMakeLists.txt", ("cmake", "ctest", "make", "ninja")),
    ("Gemfile", ("bundle", "ruby", "rake")),
    ("mix.exs", ("mix", "elixir")),
    ("justfile", ("just",)),
    ("Taskfile.yml", ("task",)),
)

# In a monorepo the kinds lie below: `services/api/pyproject.toml`.
DEPTH = 3
NOT_OURS = ("node_modules", "vendor", "third_party", "target", "build", "dist", "venv", "testdata")

# What no agent needs: the engine pushes and opens pull requests, people publish.
DENIED = (
    "git push", "git remote set-url", "git config --global", "git config --system",
    "git commit --no-verify", "git commit -n", "git commit --no-gpg-sign",
    "gh pr merge", "gh pr create", "gh pr close", "gh release", "gh repo", "gh api", "gh workflow",
    "npm publish", "pnpm publish", "yarn publish", "yarn npm publish", "cargo publish",
    "twine upload", "uv publish", "poetry publish", "hatch publish", "gem push",
    "mvn deploy", "./mvnw deploy", "mvn release:perform", "gradle publish", "./gradlew publish",
    "buf push", "docker push", "podman push", "helm push", "helm install", "helm upgrade",
    "terraform apply", "terraform destroy", "tofu apply", "pulumi up",
    "kubectl apply", "kubectl delete", "kubectl create", "ssh", "scp", "sudo", "su",
)  # fmt: skip


def commands_for(worktree: Path) -> tuple[str, ...]:
    """The commands of the kinds that a repository is, by the files at its top and in its
    sub-folders."""
    there = set(list_names(worktree))
    found: dict[str, None] = {}
    for name, commands in KINDS:
        if name in there:
            found.update(dict.fromkeys(commands))
    return tuple(found)


def list_names(worktree: Path) -> Iterator[str]:
    """The names of the files in a worktree, down to `DEPTH`, without what packages bring along."""
    top = len(worktree.parts)
    for place, folders, files in os.walk(worktree):
        deep = len(Path(place).parts) - top >= DEPTH
        folders[:] = [] if deep else [
            name for name in folders if not name.startswith(".") and name not in NOT_OURS
        ]  # fmt: skip
        yield from files


def tools_for(
    worktree: Path, named: tuple[str, ...] = (), read: tuple[Path, ...] = ()
) -> ToolPermissions:
    """What an agent may run in ``worktree``: everybody's commands, and those of its kind.

    ``named`` is `[repos.X] tools`: then those, instead of what the files imply.
    """
    return ToolPermissions((*UNIVERSAL, *(named or commands_for(worktree))), DENIED, read)


# What a reviewer may run: looking at the change and at the code around it.
LOOKING = (
    "git diff", "git log", "git show", "git status", "git blame", "git grep", "git ls-files",
    "ls", "cat", "head", "tail", "grep", "rg", "wc", "pwd",
)  # fmt: skip


def reviewer_tools(read: tuple[Path, ...] = ()) -> ToolPermissions:
    """What a reviewer may do: read, and no more."""
    return ToolPermissions(LOOKING, DENIED, read, edit=False)
