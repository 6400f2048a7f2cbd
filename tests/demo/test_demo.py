"""The demo's repositories and its scripted agent, played by hand: real git, no engine.

Each cell gets a worktree made here as the engine would make it, so a red test here is the
demo's fault, and a green one beside a red end-to-end test is the engine's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPOS = ("platform", "java-sdk", "web-sdk", "tests")
ENUM = "KAS_PUBLIC_KEY_ALG_ENUM_MLKEM_768"
OF_REPO = {
    "platform-proto": "platform",
    "platform-service": "platform",
    "platform-go-sdk": "platform",
    "java-sdk": "java-sdk",
    "web-sdk": "web-sdk",
}
# The branch each cell starts from, in the order of the feature.
BASES = {
    "platform-proto": "main",
    "platform-service": "DSPX-2399-platform-proto",
    "platform-go-sdk": "DSPX-2399-platform-service",
    "java-sdk": "main",
    "web-sdk": "main",
}
CLIS = {"platform-go-sdk": "sdk/cli.sh", "java-sdk": "sdk/cli.sh", "web-sdk": "lib/cli.sh"}
CLEAN = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def git(path: Path, *args: str) -> str:
    return subprocess.check_output(["git", "-C", str(path), *args], env=CLEAN, text=True).strip()


def make(
    repo: str, dest: Path, *, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(ROOT / "demo" / "make.py"), repo, str(dest)]
    return subprocess.run(argv, env=env or CLEAN, capture_output=True, text=True, check=False)


def own_tests(folder: Path, *parts: str, **extra: str) -> subprocess.CompletedProcess[str]:
    script = "run.sh" if (folder / "run.sh").is_file() else "tests/run.sh"
    argv = ["sh", str(folder / script), *parts]
    return subprocess.run(argv, env=CLEAN | extra, capture_output=True, text=True, check=False)


class Workshop:
    """Four repositories, and a worktree per cell."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.repos = folder / "repos"
        self.worktrees = folder / "worktrees"
        self.prompt = folder / "prompt.md"
        self.prompt.write_text("# Your cell\n\n- one thing to do\n")
        for repo in REPOS:
            done = make(repo, self.repos)
            assert done.returncode == 0, done.stderr

    def worktree(self, cell: str, base: str | None = None) -> Path:
        path = self.worktrees / cell
        repo = self.repos / OF_REPO[cell]
        base = base or BASES[cell]
        git(repo, "worktree", "add", "--no-track", "-b", f"DSPX-2399-{cell}", str(path), base)
        return path

    def play(self, cell: str, **extra: str) -> subprocess.CompletedProcess[str]:
        env = CLEAN | {
            "DEMO_PAUSE": "0",
            "ORCHESTR_FEATURE": "mlkem",
            "ORCHESTR_CELL": cell,
            "ORCHESTR_REPO": OF_REPO[cell],
            "ORCHESTR_BRANCH": f"DSPX-2399-{cell}",
            "ORCHESTR_PROMPT_FILE": str(self.prompt),
            "ORCHESTR_UPSTREAM_PLATFORM_PROTO_WORKTREE": str(self.worktrees / "platform-proto"),
        }
        return subprocess.run(
            [sys.executable, str(ROOT / "demo" / "agent.py")],
            cwd=self.worktrees / cell,
            env=env | extra,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def build(self, cell: str) -> Path:
        """What a run does for a cell: worktree, agent, and the engine's own commit."""
        path = self.worktree(cell)
        done = self.play(cell)
        assert done.returncode == 0, done.stderr
        self.commit_rest(cell)
        return path

    def commit_rest(self, cell: str) -> None:
        path = self.worktrees / cell
        if git(path, "status", "--porcelain"):
            git(path, "add", "--all")
            git(path, "commit", "--quiet", "--message", f"feat: the rest of {cell} (DSPX-2399)")

    def tree(self, cell: str) -> str:
        return git(self.worktrees / cell, "rev-parse", "HEAD^{tree}")


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_each_repository_is_whole_and_its_own_tests_are_green(workshop: Workshop) -> None:
    for repo in REPOS:
        clone = workshop.repos / repo
        assert git(clone, "status", "--porcelain") == ""
        assert git(clone, "rev-parse", "--verify", "origin/main")
        assert git(clone, "symbolic-ref", "refs/remotes/origin/HEAD") == "refs/remotes/origin/main"
        assert git(workshop.repos / "origins" / f"{repo}.git", "rev-parse", "--is-bare-repository")
        done = own_tests(clone)
        assert done.returncode == 0, done.stderr
    assert not list(workshop.repos.glob(".making-*/"))


def test_a_persons_branch_is_checked_out_and_not_pushed(workshop: Workshop) -> None:
    clone = workshop.repos / "tests"
    assert git(clone, "branch", "--show-current") == "DSPX-2399-tests"
    assert git(clone, "log", "--format=%an", "main..HEAD").splitlines() == ["Tess Terr"] * 2
    assert git(clone, "ls-remote", "origin", "refs/heads/DSPX-*") == ""
    assert "skipped=1" in own_tests(clone).stderr


def test_hashes_do_not_depend_on_the_machines_git_settings(tmp_path: Path) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[user]\nname = Someone\nemail = s@example.invalid\n[init]\ndefaultBranch = trunk\n"
        "[commit]\ngpgSign = true\n[core]\nautocrlf = true\nhooksPath = /nowhere\n"
    )
    odd = CLEAN | {"GIT_CONFIG_GLOBAL": str(settings), "GIT_DIR": "/nowhere", "TZ": "Asia/Tokyo"}
    heads = []
    for name, env in (("a", CLEAN), ("b", odd)):
        for repo in REPOS:
            assert make(repo, tmp_path / name, env=env).returncode == 0
        heads.append([git(tmp_path / name / repo, "rev-parse", "HEAD") for repo in REPOS])
    assert heads[0] == heads[1]


def test_made_again_it_touches_nothing_a_person_did(workshop: Workshop) -> None:
    clone = workshop.repos / "platform"
    (clone / "README.md").write_text("mine\n")
    git(clone, "checkout", "--quiet", "-b", "mine")
    done = make("platform", workshop.repos)
    assert done.returncode == 0 and "already there" in done.stdout
    assert (clone / "README.md").read_text() == "mine\n"
    assert git(clone, "branch", "--show-current") == "mine"


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    dest = tmp_path / "repos"
    half = dest / ".making-platform" / "work" / ".git"
    half.mkdir(parents=True)
    (half / "HEAD").write_text("torn")
    assert make("platform", dest).returncode == 0
    assert own_tests(dest / "platform").returncode == 0
    assert not half.exists()


def test_a_lost_clone_comes_back_from_its_origin_with_what_was_pushed(workshop: Workshop) -> None:
    clone = workshop.repos / "tests"
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "push", "--quiet", "origin", "DSPX-2399-tests")
    clone.rename(clone.with_name("lost"))
    assert make("tests", workshop.repos).returncode == 0
    assert git(clone, "rev-parse", "HEAD") == head
    assert git(clone, "branch", "--show-current") == "DSPX-2399-tests"


def test_something_else_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "platform").mkdir()
    (tmp_path / "platform" / "precious").write_text("x")
    done = make("platform", tmp_path)
    assert done.returncode == 1 and "in the way" in done.stderr
    assert (tmp_path / "platform" / "precious").read_text() == "x"


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    argv = [sys.executable, str(ROOT / "demo" / "make.py"), "java-sdk", str(tmp_path)]
    both = [subprocess.Popen(argv, env=CLEAN, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted(child.communicate()[0].split(":")[1].split()[0] for child in both)
    assert [child.returncode for child in both] == [0, 0]
    assert told == ["already", "made"]


@pytest.mark.slow
def test_the_whole_feature_by_hand_wakes_the_dormant_tests(workshop: Workshop) -> None:
    for cell, base in BASES.items():
        path = workshop.build(cell)
        subjects = git(path, "log", "--format=%s", f"{base}..HEAD").splitlines()
        assert len(subjects) >= 2, "the agent commits a part, the engine the rest"
        assert all("(DSPX-2399)" in subject for subject in subjects)

    assert own_tests(workshop.worktrees / "platform-go-sdk").returncode == 0
    clis = ":".join(str(workshop.worktrees / cell / cli) for cell, cli in CLIS.items())
    done = own_tests(workshop.repos / "tests", XTEST_SDKS=clis)
    assert done.returncode == 0, done.stderr
    assert "skipped" not in done.stderr

    before = {cell: workshop.tree(cell) for cell in BASES}
    for cell in BASES:
        again = workshop.play(cell)
        assert again.returncode == 0, again.stderr
        assert git(workshop.worktrees / cell, "status", "--porcelain") == ""
    assert {cell: workshop.tree(cell) for cell in BASES} == before


def test_changed_paths_are_those_that_the_spec_lets_each_cell_own(workshop: Workshop) -> None:
    owned = {
        "platform-proto": ("proto/", "gen/"),
        "platform-service": ("service/",),
        "platform-go-sdk": ("sdk/",),
        "java-sdk": ("sdk/",),
        "web-sdk": ("lib/",),
    }
    for cell, folders in owned.items():
        path = workshop.build(cell)
        changed = git(path, "diff", "--name-only", BASES[cell], "HEAD").splitlines()
        assert changed and all(name.startswith(folders) for name in changed), (cell, changed)


@pytest.mark.parametrize(
    ("cell", "base", "missing"),
    [
        ("platform-service", "main", "platform-proto"),
        ("platform-go-sdk", "main", "platform-proto"),
        ("platform-go-sdk", "DSPX-2399-platform-proto", "platform-service"),
    ],
)
def test_a_wrong_base_is_loud(workshop: Workshop, cell: str, base: str, missing: str) -> None:
    workshop.build("platform-proto")
    path = workshop.worktree(cell, base)
    done = workshop.play(cell)
    assert done.returncode == 1
    assert "wrong base" in done.stderr and missing in done.stderr
    assert git(path, "status", "--porcelain") == ""


@pytest.mark.parametrize("cell", ["java-sdk", "web-sdk"])
def test_an_upstream_without_the_enum_is_loud(workshop: Workshop, cell: str) -> None:
    workshop.worktree("platform-proto")  # made, but nobody worked there
    path = workshop.worktree(cell)
    done = workshop.play(cell)
    assert done.returncode == 1
    assert ENUM in done.stderr and "platform-proto" in done.stderr
    assert git(path, "status", "--porcelain") == ""


def _edited_not_committed(workshop: Workshop) -> None:
    path = workshop.worktrees / "platform-proto" / "proto" / "objects.proto"
    text = path.read_text()
    last = "KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP521R1 = 7;\n"
    path.write_text(text.replace(last, f"{last}  {ENUM} = 13;\n"))


def _gave_up(workshop: Workshop) -> None:
    done = workshop.play("platform-proto", DEMO_FAIL="platform-proto")
    assert done.returncode == 1 and "DEMO_FAIL" in done.stderr


@pytest.mark.parametrize("interrupt", [_edited_not_committed, _gave_up])
def test_it_goes_on_where_it_was_cut_off(
    workshop: Workshop, interrupt: Callable[[Workshop], None], tmp_path: Path
) -> None:
    whole = Workshop(tmp_path / "whole")
    whole.build("platform-proto")
    workshop.worktree("platform-proto")
    interrupt(workshop)
    assert workshop.play("platform-proto").returncode == 0
    workshop.commit_rest("platform-proto")
    assert workshop.tree("platform-proto") == whole.tree("platform-proto")


def test_outside_of_a_run_it_says_so(workshop: Workshop) -> None:
    workshop.worktree("platform-proto")
    done = workshop.play("platform-proto", ORCHESTR_PROMPT_FILE="")
    assert done.returncode == 1 and "ORCHESTR_PROMPT_FILE is not set" in done.stderr
