"""What stands between a good head and its pull request: hooks, signatures, rules of the origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do

SIGNER = """\
#!/bin/sh
# Signs like gpg: no two signatures are alike.
cat > /dev/null
echo "[GNUPG:] SIG_CREATED " >&2
printf -- '-----BEGIN PGP SIGNATURE-----\\n\\n%s\\n-----END PGP SIGNATURE-----\\n' "$(date +%s%N)"
"""
ONLY_SIGNED = """\
while read old new ref; do
    for commit in $(git rev-list "$new" --not --all); do
        git cat-file commit "$commit" | grep -q ^gpgsig && continue
        echo "not signed: $(git log -1 --format=%s "$commit")" >&2
        exit 1
    done
done
"""


def install_hook(repo: Path, name: str, text: str) -> Path:
    hook = (repo / ".git" if (repo / ".git").exists() else repo) / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{text}")
    hook.chmod(0o755)
    return hook


def sign_everything(ws: Workspace) -> None:
    """The user signs in every repository; the origins take nothing that is not signed."""
    signer = ws.root / "signer.sh"
    signer.write_text(SIGNER)
    signer.chmod(0o755)
    for origin in ws.repos.glob("*.git"):
        git(origin.with_suffix(""), "config", "commit.gpgSign", "true")
        git(origin.with_suffix(""), "config", "gpg.program", str(signer))
        install_hook(origin, "pre-receive", ONLY_SIGNED)


def test_a_push_hook_judges_the_checkout_of_the_cell(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    install_hook(
        ws.repos / "app", "pre-push",
        '[ "$(git symbolic-ref --short HEAD)" = T-1-a ] && [ -f a.txt ] || exit 1\n',
    )  # fmt: skip
    ws.run("run", "demo", code=0)
    assert ws.pr("a")["head_sha"] == ws.head("a")


def test_a_push_hook_judges_the_checkout_of_a_person(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"action": "push", "branch": "mine"}})
    clone = ws.repos / "app"
    git(clone, "worktree", "add", "-q", "-b", "mine", str(ws.root / "my place"))
    write(ws.root / "my place", {"a.txt": "a\n"})
    git(ws.root / "my place", "add", "-A")
    git(ws.root / "my place", "commit", "-qm", "mine")
    install_hook(clone, "pre-push", "[ -f a.txt ] || exit 1\n")
    ws.run("run", "demo", code=0)
    assert "mine" in ws.heads()


@pytest.mark.slow
def test_where_only_signed_commits_are_taken_stacks_are_published_and_land(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}, "b": {}, "c": {"depends_on": ["a", "b"]}})
    sign_everything(ws)
    ws.run("run", "demo", code=0)
    merge = git(ws.repos / "app.git", "rev-list", "--merges", "main..T-1-c")
    assert "gpgsig" in git(ws.repos / "app.git", "cat-file", "commit", merge)
    assert git(ws.repos / "app.git", "log", "-1", "--format=%cn", merge) == "Tess Tester"
    nothing_to_do(ws)
    ws.edit_spec("do c", "do c and more")  # the merge below it is the same commit again
    ws.run("run", "demo", code=0)
    assert git(ws.repos / "app.git", "rev-list", "--merges", "main..T-1-c") == merge
    ws.run("land", "demo", code=0)
    assert set(ws.states().values()) == {"landed"}


def test_a_landing_that_cannot_sign_begins_nothing(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    sign_everything(ws)
    (ws.root / "signer.sh").write_text("#!/bin/sh\nexit 2\n")
    (ws.repos / "app.git" / "hooks" / "pre-receive").unlink()
    before = ws.heads()
    done = ws.run("land", "demo", code=1)
    assert "app: the commits of a landing cannot be signed: " in done.stderr
    assert (ws.heads(), ws.states()) == (before, {"a": "done"})
    ws.run("land", "demo", "--strategy", "fast-forward", code=0)  # it makes no commit
    ws.run("land", "demo", code=0)  # nothing is left to sign
    assert ws.states() == {"a": "landed"}


@pytest.mark.slow
def test_switched_off_nothing_of_ours_is_signed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}, "c": {"depends_on": ["a", "b"]}})
    sign_everything(ws)
    (ws.root / "signer.sh").write_text("#!/bin/sh\nexit 2\n")
    (ws.repos / "app.git" / "hooks" / "pre-receive").unlink()
    ws.settings(workspace={"unsigned": True})
    ws.run("run", "demo", code=0)
    ws.run("land", "demo", code=0)
    assert set(ws.states().values()) == {"landed"}
    assert "refs/orchestr/signed" not in git(ws.repos / "app", "for-each-ref")


def test_a_fresh_start_is_published_where_force_is_forbidden(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"approve": ["publish"]}})
    git(ws.repos / "app.git", "config", "receive.denyNonFastForwards", "true")
    ws.run("run", "demo", code=1)
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    first, url = ws.head("a"), ws.result("a", "pr-url")
    ws.say("a", "something else\n")
    ws.run("run", "demo:a", "--fresh", code=1)
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    second = ws.head("a")
    assert git(ws.repos / "app.git", "rev-parse", f"{second}^2") == first
    assert ws.show("a", "a.txt") == "something else"
    assert git(ws.repos / "app", "rev-parse", "T-1-a") == second
    assert git(ws.worktree("a"), "status", "--porcelain") == ""
    assert (ws.pr("a")["head_sha"], ws.result("a", "pr-url")) == (second, url)
    nothing_to_do(ws)
    ws.say("a", "a third\n")
    ws.run("run", "demo:a", "--fresh", code=1)
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    assert git(ws.repos / "app.git", "merge-base", "--is-ancestor", second, ws.head("a")) == ""
    ws.run("land", "demo", code=0)
    assert git(ws.repos / "app.git", "show", "main:a.txt") == "a third"


def test_where_force_is_allowed_a_fresh_start_leaves_the_old_commits(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ws.say("a", "something else\n")
    ws.run("run", "demo", "--fresh", code=0)
    assert git(ws.repos / "app.git", "rev-list", "--count", "main..T-1-a") == "1"


def test_an_origin_without_room_is_nobodys_failure(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    full = install_hook(
        ws.repos / "app.git", "pre-receive", "echo 'No space left on device' >&2; exit 1\n"
    )
    done = ws.run("run", "demo", code=1)
    assert "the origin could not store T-1-a" in both(done)
    assert "starts no agent" in both(done)
    full.unlink()
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    install_hook(ws.repos / "app.git", "pre-receive", "echo 'Disk quota exceeded' >&2; exit 1\n")
    landed = ws.run("land", "demo", code=1)
    assert "needs a person" not in both(landed)
    full.unlink()
    ws.run("land", "demo", code=0)
    assert ws.states() == {"a": "landed"}
    assert ws.starts() == ["a 1"]


def test_a_commit_without_room_is_made_by_the_next_run(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    hook = install_hook(
        ws.repos / "app", "pre-commit", "echo 'fatal: No space left on device' >&2; exit 1\n"
    )
    done = ws.run("run", "demo", code=1)
    assert "make room" in both(done)
    hook.unlink()
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert len(ws.prs()) == 1


def test_locks_of_a_killed_git_of_the_agent_are_cleared(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    locks = "for name in index HEAD; do touch $(git rev-parse --git-dir)/$name.lock; done"
    ws.script("a", f"echo x > a.txt\n{locks}\n")
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
