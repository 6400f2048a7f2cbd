"""Agents that try to get what was copied into their worktree, or files of ours, into a commit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.e2e.workspace import FEATURE, Workspace, both

SECRET = "TOKEN=very-secret-1234\n"
COMMIT = "git -c commit.gpgSign=false commit -qm x"

# Name: what the agent does, and what is said of it; the attempt ends well where nothing is.
TRICKS: dict[str, tuple[str, str]] = {
    "merged-orphan": (
        f"h=$(git rev-parse --abbrev-ref HEAD); git checkout -q --orphan side; git add -f .env\n"
        f"{COMMIT}; git checkout -q -f $h; printf '{SECRET}' > .env\n"
        f"git merge -q --no-edit -s ours --allow-unrelated-histories side; echo x > ok\n", ""),
    "evil-merge": (
        f"echo x > ok; git add ok; {COMMIT}; git branch side; git reset -q --hard HEAD~1\n"
        f"echo y > more; git add more; {COMMIT}; git merge -q --no-commit side; git add -f .env\n"
        f"{COMMIT}; git rm -q --cached .env; {COMMIT}\n", ""),
    "replaced": (
        f"git add -f .env; {COMMIT}; bad=$(git rev-parse HEAD); git reset -q --soft HEAD~1\n"
        f"git rm -q --cached .env; echo x > ok; git add ok; {COMMIT}; good=$(git rev-parse HEAD)\n"
        f"git reset -q --soft $bad; git replace $bad $good; echo y > more\n"
        f"git add more; {COMMIT}\n", ""),
    "folder-of-that-name": (
        f"mv .env e; mkdir .env; mv e .env/e; echo x > ok; git add -f .; {COMMIT}\n", ""),
    "unhidden": ("printf '!.env\\n!.ports.env\\n' > .gitignore; echo x > ok\n", ""),
    "renamed": (f"git add -f .env; {COMMIT}; git mv .env ok; {COMMIT}\n", "another name: ok"),
    "linked-hard": ("ln .env ok\n", "another name: ok"),
    "emptied-source": (
        'cp .env ok; : > "$CLONE/.env"; : > .env\n', "another name: ok"),
    "index-only": (
        f"git update-index --add --cacheinfo 100644,$(git hash-object -w .env),ok\n{COMMIT}\n"
        "git rm -q --cached ok; echo x > other\n", "another name: ok"),
    "engine-file": (
        f"mkdir .orchestr; echo x > .orchestr/x; git add -f .orchestr; {COMMIT}\n"
        f"git rm -q -r .orchestr; echo x > ok; git add ok; {COMMIT}\n",
        r"files of orchestr are in commit \w+: \.orchestr/x"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRICKS)
def test_nothing_of_it_leaves_the_machine(name: str, tmp_path: Path) -> None:
    act, said = TRICKS[name]
    ws = Workspace.make(
        tmp_path / "w",
        cells={"one": {"ports": True}},
        settings={"repos": {"app": {"copy": [".env"]}}},
    )
    clone = ws.repos / "app"
    write(clone, {".env": SECRET})
    ws.script("one", f'set -e; CLONE="{clone}"\n{act}')
    done = ws.run("run", FEATURE, code=1 if said else 0)
    assert re.search(said, both(done)), both(done)
    if said:
        assert ws.branch("one") not in ws.heads()
        write(clone, {".env": SECRET})
        ws.script("one", None)
        ws.run("run", FEATURE, code=0)
    listed = git(ws.repos / "app.git", "rev-list", "--objects", "--all").splitlines()
    paths = {line.partition(" ")[2] for line in listed}
    assert not [path for path in paths if path.startswith((".env", ".orchestr", ".ports"))]
    for line in listed:
        assert "TOKEN" not in git(ws.repos / "app.git", "cat-file", "-p", line.split()[0]), line
