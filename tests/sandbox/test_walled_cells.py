"""Whole cells behind the wall: what their agents can do, and what they cannot.

The agent is a script, the run is real. What an agent finds out it writes into its own file, so it
is read from the commit that came of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest

from tests.conftest import git
from tests.e2e.workspace import Workspace, both
from tests.sandbox.walls import needs_bwrap

pytestmark = [needs_bwrap, pytest.mark.slow]
MakeWalled = Callable[..., Workspace]


@pytest.fixture
def walled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWalled]:
    """Workspaces whose agents run in bubblewrap, for a user with a home folder of secrets."""
    home = tmp_path / "home"
    for name, text in {
        ".ssh/id_ed25519": "PRIVATE-KEY", ".config/gh/hosts.yml": "oauth_token: gho_secret",
        ".netrc": "machine x password p4ss", "notes.txt": "plain", ".codex/auth.json": "{}",
    }.items():  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ORCHESTR_SET_SANDBOX_MODE", "bwrap")
    made: list[Workspace] = []

    def make(**wanted: Any) -> Workspace:
        made.append(Workspace.make(tmp_path / f"ws{len(made)}", **wanted))
        return made[-1]

    yield make
    for ws in made:
        ws.end()


def found(ws: Workspace, cell: str = "a") -> dict[str, str]:
    """What the agent of a cell wrote: `name: value` lines of its file."""
    lines = ws.show(cell, "found").splitlines()
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


def test_a_cell_is_built_and_says_what_it_ran_in(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {"checks": [{"kind": "command", "run": ["test", "-f", "a.txt"]}]}})
    said = both(ws.run("run", "demo", code=0))
    assert "note: agents run in bwrap" in said
    assert ws.states() == {"a": "done"}
    assert "nothing to be done" in both(ws.run("run", "demo", code=0))
    assert ws.starts() == ["a 1"]


def test_secrets_state_and_processes_are_not_there(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}})
    ws.script("a", f"""\
        exec > found
        echo "ssh: $(cat ~/.ssh/id_ed25519 2>&1)"
        echo "gh: $(cat ~/.config/gh/hosts.yml 2>&1)"
        echo "netrc: $(cat ~/.netrc 2>&1)"
        echo "codex: $(cat ~/.codex/auth.json 2>&1)"
        echo "notes: $(cat ~/notes.txt)"
        echo "journal: $(ls {ws.root}/.orchestr/journal 2>&1)"
        echo "first: $(ps -o pid= -p 1 2>/dev/null | tr -d ' ')"
        echo "others: $(ls /proc | grep -c '^{os.getpid()}$')"
        echo "network: $(cat /proc/net/dev | grep -c eth)"
        """)  # fmt: skip
    ws.run("run", "demo", code=0)
    seen = found(ws)
    assert seen["notes"] == "plain"
    assert not any(word in str(seen) for word in ("PRIVATE-KEY", "gho_secret", "p4ss"))
    assert seen["codex"] != "{}"
    assert "demo.jsonl" not in seen["journal"]
    assert seen["others"] == "0"
    assert seen["network"] == "0"


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_of_the_clone_only_its_own_branch_moves(walled: MakeWalled, packed: bool) -> None:
    ws = walled(cells={"a": {}})
    app = ws.repos / "app"
    git(app, "branch", "theirs")
    if packed:
        git(app, "pack-refs", "--all")
    before = (app / ".git" / "config").read_bytes()
    ws.script("a", f"""\
        echo x > a.txt; git add a.txt; git commit -qm mine
        common={app}/.git
        : > found
        for word in "git update-ref refs/heads/theirs HEAD" "git branch -f theirs HEAD" \\
            "git config user.name eve" "git tag evil" \\
            "git update-ref refs/remotes/origin/main HEAD" \\
            "git -c core.logallrefupdates=false update-ref refs/heads/theirs HEAD" \\
            "touch $common/hooks/pre-commit" "touch $common/info/attributes" \\
            "touch $common/packed-refs.new" "rm -rf $common/objects/pack" "git branch -D theirs" \\
            "touch {app}/README.md" "git replace HEAD HEAD~1"; do
            if $word >/dev/null 2>&1; then echo "$word: done" >> found; fi
        done
        """)  # fmt: skip
    ws.run("run", "demo", code=0)
    assert found(ws) == {}
    assert git(app, "rev-parse", "theirs") == git(app, "rev-parse", "main")
    assert git(app, "log", "-1", "--format=%s", "T-1-a~1") == "mine"
    assert (app / ".git" / "config").read_bytes() == before
    assert git(app, "fsck", "--strict") == ""


def test_nothing_can_be_written_outside(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}, "b": {"depends_on": ["a"]}})
    ws.run("run", "demo:a", code=0)
    ws.script("b", f"""\
        : > found
        for place in ~/notes.txt ~/.bashrc {ws.root}/specs/demo.yaml {ws.root}/orchestr.toml \\
            "$ORCHESTR_UPSTREAM_A_WORKTREE/x" {ws.repos}/app/x /etc/x /usr/x; do
            if echo evil >> $place; then echo "$place: done" >> found; fi
        done 2>/dev/null
        echo fine > /tmp/mine && cat /tmp/mine > b.txt
        """)  # fmt: skip
    ws.run("run", "demo", code=0)
    home = Path(os.environ["HOME"])
    written = set(found(ws, "b"))
    assert written <= {str(home / ".bashrc")}, "a new file of the home folder vanishes with it"
    assert not (home / ".bashrc").exists()
    assert ws.show("b", "b.txt") == "fine"


def test_a_refused_host_is_told(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}})
    ws.script("a", """\
        python3 -c '
        import urllib.request
        try: urllib.request.urlopen("http://evil.example/", timeout=5)
        except Exception as error: print("x:", error)
        ' > found""".replace("        ", ""))  # fmt: skip
    said = both(ws.run("run", "demo", code=0))
    assert "its sandbox refused evil.example:80" in said
    assert "network = [...]" in said


def test_a_wall_that_is_required_and_not_there(
    walled: MakeWalled, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ws = walled(cells={"a": {}})
    tools = tmp_path / "tools"
    tools.mkdir()
    broken = tools / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    said = both(ws.run("run", "demo", code=2))
    assert "bwrap does not work here: bwrap: No permissions" in said
    assert ws.starts() == []
    monkeypatch.setenv("ORCHESTR_SET_SANDBOX_MODE", "auto")
    said = both(ws.run("run", "demo", code=0))
    assert "warning: no sandbox (bwrap does not work here" in said
    assert ws.starts() == ["a 1"]


def test_a_plan_is_written_in_its_box(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {"approve": "plan"}})
    ws.script("a", """\
        if [ -n "$ORCHESTR_PLAN_FILE" ]; then
            echo "# the plan" > "$ORCHESTR_PLAN_FILE"
            if echo x > x.txt; then echo leak >> "$ORCHESTR_PLAN_FILE"; fi
        else echo y > a.txt; fi
        """)  # fmt: skip
    ws.run("run", "demo", code=1)
    assert (ws.cell_dir("a") / "plan.md").read_text() == "# the plan\n"


def test_memory_and_disk_have_limits(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}, "b": {}}, settings={"limits": {"memory": "200M", "disk": "50M"}})
    ws.script("a", "python3 -c 'x = bytearray(400 << 20); import time; time.sleep(30)'")
    ws.script("b", "dd if=/dev/zero of=big bs=1M count=80 2>/dev/null; sync big; sleep 30")
    ws.run("run", "demo", code=1)
    cells = ws.status()
    assert "of memory, more than limits.memory allows" in cells["a"]["reason"]
    assert "more than limits.disk allows" in cells["b"]["reason"]
    assert ws.processes() == []


def test_processes_are_counted(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}}, settings={"limits": {"pids": 40}})
    ws.script("a", "for i in $(seq 100); do sleep 20 & done 2>/dev/null; echo x > a.txt; exit 0")
    ws.run("run", "demo")
    assert ws.processes() == []
    assert ws.status()["a"]["state"] in ("done", "failed")


def test_what_an_agent_leaves_behind_dies_with_it(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}})
    ws.script("a", "echo x > a.txt; setsid env -i sleep 987 & exit 0")
    ws.run("run", "demo", code=0)
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "987"]
    ]


def test_a_check_works_in_a_wall_of_its_own(walled: MakeWalled) -> None:
    script = ("grep -q p4ss ~/.netrc && exit 3; echo x > ~/notes.txt && exit 4; "
              "echo made > $ORCHESTR_ARTEFACTS/made; echo x > /tmp/x; test -f a.txt")  # fmt: skip
    ws = walled(cells={"a": {"checks": [{"kind": "command", "run": ["sh", "-c", script]}]}})
    ws.run("run", "demo", code=0)
    assert Path(os.environ["HOME"], "notes.txt").read_text() == "plain"


def test_caches_are_kept_and_not_the_users(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}, "b": {"depends_on": ["a"]}})
    ws.script("a", "mkdir -p ~/.cache/x && echo warm > ~/.cache/x/y; echo a > a.txt")
    ws.script("b", 'echo "cache: $(cat ~/.cache/x/y 2>&1)" > found')
    ws.run("run", "demo", code=0)
    assert found(ws, "b") == {"cache": "warm"}
    assert not Path(os.environ["HOME"], ".cache").exists()


def test_hooks_of_the_repository_run_behind_the_wall(
    walled: MakeWalled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook runs a file of the worktree, which the agent writes; our git commits and pushes."""
    monkeypatch.setenv("GH_TOKEN", "gho_of_the_user")
    ws = walled(cells={"a": {}})
    for name in ("pre-commit", "pre-push"):
        hook = ws.repos / "app" / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n. ./run-by-hooks.sh {name}\n")
        hook.chmod(0o755)
    home = Path(os.environ["HOME"])
    ws.script("a", dedent("""\
        echo one > a.txt
        cat > run-by-hooks.sh <<'END'
        echo "token: $GH_TOKEN" >> found; echo "netrc: $(cat ~/.netrc)" >> found
        (echo evil >> ~/notes.txt; touch ~/.ssh/seen) 2>/dev/null || :
        [ "$1" = pre-push ] || git add found
        END
        """))  # fmt: skip
    ws.run("run", "demo", code=0)
    assert (home / "notes.txt").read_text() == "plain"
    assert "gho_of_the_user" not in ws.show("a", "found")
    assert "p4ss" not in ws.show("a", "found")
    assert not (home / ".ssh" / "seen").exists()


def test_a_hook_that_refuses_still_refuses(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}})
    hook = ws.repos / "app" / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no such commits here' >&2\nexit 1\n")
    hook.chmod(0o755)
    ws.run("run", "demo", code=1)
    assert "no such commits here" in ws.status()["a"]["reason"]


def test_a_wall_that_cannot_be_entered_for_a_moment(
    walled: MakeWalled, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No namespace to be had: no verdict on the agent, which starts when there is one again."""
    ws = walled(cells={"a": {"checks": [{"kind": "command", "run": ["test", "-f", "a.txt"]}]}})
    tools = tmp_path / "tools"
    tools.mkdir()
    real = shutil.which("bwrap")
    wrapper = tools / "bwrap"
    wrapper.write_text(f"""#!/bin/sh
        if [ "$1" = --args ]; then
            echo x >> {tools}/count
            case $(wc -l < {tools}/count) in
                1 | 3) echo "bwrap: Creating new namespace failed: out of space" >&2; exit 1;;
            esac
        fi
        exec {real} "$@"
        """)
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert ws.states() == {"a": "done"}


def test_set_up_sees_no_secret_that_it_is_not_given(
    walled: MakeWalled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_TOKEN", "gho_of_the_user")
    monkeypatch.setenv("NPM_TOKEN", "npm_of_the_user")
    setup = 'echo "$GH_TOKEN|$NPM_TOKEN|$LANG" > env.txt; cat ~/.netrc >> env.txt'
    ws = walled(
        cells={"a": {}},
        settings={"repos": {"app": {"setup": [setup], "pass_env": ["NPM_TOKEN"]}}},
    )
    ws.script("a", "cp env.txt found")
    ws.run("run", "demo", code=0)
    assert ws.show("a", "found").splitlines()[0].startswith("|npm_of_the_user|")
    assert "p4ss" not in ws.show("a", "found")


def test_the_plan_and_the_lock_of_an_attempt_are_hidden(walled: MakeWalled) -> None:
    ws = walled(cells={"a": {}})
    attempt = ws.cell_dir("a") / "attempts" / "1"
    ws.script("a", f"""\
        echo "plan: $(wc -c < {attempt}/wall.json)" > found
        echo "lock: $(echo x > {attempt}/lock 2>/dev/null && echo written)" >> found
        """)  # fmt: skip
    ws.run("run", "demo", code=0)
    assert found(ws) == {"plan": "0", "lock": ""}


def test_the_password_of_the_users_proxy_stays_outside(walled: MakeWalled) -> None:
    """It is in the plan and in the environment that the sandbox was started with."""
    ws = walled(cells={"a": {}})
    ws.script(
        "a",
        """\
        cd "$(dirname "$ORCHESTR_PROMPT_FILE")"
        files=$(grep -rl s3cret . /proc/[0-9]*/environ 2>/dev/null | sort | tr '\\n' ' ')
        cd "$ORCHESTR_WORKTREE"
        echo "files: $files" > found
        echo "variables: $(env | grep -c s3cret)" >> found
        """,
    )
    ws.run("run", "demo", code=0, env={"HTTPS_PROXY": "http://me:s3cret@127.0.0.1:9"})
    assert found(ws) == {"files": "", "variables": "0"}


def test_git_works_in_what_a_check_reads_of_another_repository(walled: MakeWalled) -> None:
    reads = 'cd "$ORCHESTR_UPSTREAM_LOW_WORKTREE" && test -f low.txt && git status'
    check = {"kind": "command", "run": ["sh", "-c", reads]}
    cells = {"low": {"repo": "lib"}, "high": {"depends_on": ["low"], "checks": [check]}}
    ws = walled(repos=("app", "lib"), cells=cells)
    ws.run("run", "demo", code=0)


def test_a_check_that_writes_outside_is_told_why_it_is_red(walled: MakeWalled) -> None:
    check = {"kind": "command", "run": ["sh", "-c", "touch ~/notes.txt"]}
    ws = walled(cells={"a": {"checks": [check], "repair": {"checks": 0}}})
    ws.run("run", "demo", code=1)
    assert "[sandbox] write in orchestr.toml" in ws.status()["a"]["reason"]
