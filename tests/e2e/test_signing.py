"""Signing off only where it is asked for, nowhere written down, and made up for afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

SIGNER = """\
#!/bin/sh
# A signer: with a person there it signs, without one it says so and fails.
[ -f {root}/present ] || {{ echo "no pinentry" >&2; exit 2; }}
cat > /dev/null
echo "[GNUPG:] SIG_CREATED " >&2
printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'
"""
COMMITS = "echo x > mine.txt\ngit add mine.txt\ngit commit -qm 'feat: mine (T-1)' || exit 5\n"


@pytest.fixture
def signed(workspace: MakeWorkspace) -> Workspace:
    """A clone whose owner signs every commit; the agent commits itself."""
    ws = workspace(cells={"a": {}})
    signer = ws.root / "signer.sh"
    signer.write_text(SIGNER.format(root=ws.root))
    signer.chmod(0o755)
    git(ws.repos / "app", "config", "commit.gpgSign", "true")
    git(ws.repos / "app", "config", "gpg.program", str(signer))
    ws.script("a", f"{COMMITS}echo y > left.txt\n")
    return ws


def config(ws: Workspace) -> str:
    return (ws.repos / "app" / ".git" / "config").read_text()


def test_by_default_the_users_signing_holds(signed: Workspace) -> None:
    for words in (["run", "demo"], ["plan", "demo"], ["doctor"]):
        told = both(signed.run(*words))
        assert "error: app: commits cannot be signed, as commit.gpgSign asks for: " in told, told
        assert '[workspace] unsigned = true, or [agents.X] sign = "off"' in told
    assert signed.starts() == []
    signed.run("run", "demo", "--skip-preflight", code=1)
    assert "exit 5" in signed.status()["a"]["reason"]
    assert (
        "failed to write commit object" in (signed.cell_dir("a") / "transcript.jsonl").read_text()
    )


@pytest.mark.slow
@pytest.mark.parametrize("where", ["workspace", "agent"])
def test_switched_off_for_the_worktree_only(signed: Workspace, where: str) -> None:
    before = config(signed)
    off = {"workspace": {"unsigned": True}} if where == "workspace" else {
        "agents": {"sh": {"sign": "off"}}}  # fmt: skip
    signed.settings(**off)
    done = signed.run("run", "demo", code=0)
    assert config(signed) == before
    command = signed.status()["a"]["sign"]
    assert command.startswith(f"git -C {signed.worktree('a')} rebase ")
    assert command.endswith(" --exec 'git commit --amend --no-edit -S'")
    assert f"to sign before they are merged:\n  {command}\n" in done.stdout
    assert f"unsigned: {command}" in signed.run("status", code=0).stdout

    (signed.root / "present").touch()  # somebody sits down and signs
    shell(command, signed.worktree("a"))
    log = git(signed.worktree("a"), "log", "--format=%s", "main..HEAD").splitlines()
    assert log == ["a: The demo (T-1)", "feat: mine (T-1)"]
    raw = git(signed.worktree("a"), "cat-file", "commit", "HEAD")
    assert "gpgsig" in raw
    assert signed.status()["a"]["sign"] is None


def shell(command: str, cwd: Path) -> None:
    import subprocess

    done = subprocess.run(command, shell=True, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
