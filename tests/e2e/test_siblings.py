"""Sibling-aware CI: the documented steps, run by a small runner over real repositories."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from orchestr.cell.pull_request.siblings import select_trusted
from orchestr.forges.depends_on import parse_address
from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
HOST = "https://github.com"


def documented_step() -> str:
    """The script of the job in docs/ci.md that checks the siblings out."""
    job = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])
    return next(
        step["run"] for step in job["jobs"]["test"]["steps"] if "siblings" in step.get("run", "")
    )


def make_program(folder: Path) -> Path:
    """`orchestr`, as an installation puts it on the PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "orchestr"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestr "$@"\n')
    program.chmod(0o755)
    return program


def run_step(script: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As a runner of CI does it: `bash -e`, in the checkout."""
    path = f"{make_program(cwd.parent / 'programs').parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=cwd, env={**os.environ, **env, "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def built(workspace: MakeWorkspace) -> Workspace:
    """`lib` with a chain of two, `app` that depends on its bottom, `web` beside them."""
    ws = workspace(
        repos=("lib", "app", "web"),
        cells={
            "core": {"repo": "lib"},
            "more": {"repo": "lib", "depends_on": ["core"]},
            "app": {"repo": "app", "depends_on": ["core"]},
            "web": {"repo": "web"},
        },
        siblings_in_ci=False,
    )
    ws.run("run", "demo", code=0)
    return ws


def test_bodies_and_refs_name_what_a_pull_request_depends_on(built: Workspace) -> None:
    ws = built
    assert ws.pr("app")["body"].endswith(
        "\n\nDepends-On: local://lib/pull/1\n<!-- orchestr:end -->"
    )
    assert all("Depends-On" not in ws.pr(cell)["body"] for cell in ("core", "more", "web"))
    origin = ws.repos / "lib.git"
    line = f"lib {ws.head('core', 'lib')} local://lib/pull/1 {origin}\n"
    assert ws.run("siblings", "--ref", ws.branch("app"), code=0).stdout == line
    every = ws.run("siblings", "--feature", "demo", code=0).stdout
    assert sorted(row.split()[2] for row in every.splitlines()) == sorted(ws.prs())
    done = ws.run("siblings", "--ref", "nope", code=2)
    assert "no cell has the branch 'nope'" in done.stderr

    ws.edit_spec("siblings_in_ci: false", "siblings_in_ci: true")
    ws.run("run", "demo", code=0)
    named = re.findall(r"^Depends-On: (.*)$", ws.pr("web")["body"], re.MULTILINE)
    assert sorted(named) == ["local://app/pull/1", "local://lib/pull/1", "local://lib/pull/2"]
    assert len(ws.starts()) == 4  # no agent for it

    body = ws.root / "body.md"
    body.write_text(ws.pr("web")["body"])
    step = PAGE.split("```sh\n")[1].split("```")[0]
    checkout = ws.root / ".orchestr" / "forge" / "checkout"  # where the local forge's CI works
    checkout.mkdir()
    done = run_step(step, checkout, {"ORCHESTR_CI_BODY_FILE": str(body)})
    assert done.returncode == 0, both(done)
    assert (checkout / "siblings" / "lib" / "more.txt").exists()
    assert (checkout / "siblings" / "app" / "app.txt").exists()


def test_the_documented_job_checks_out_what_the_body_names(
    built: Workspace, tmp_path: Path
) -> None:
    ws, job = built, tmp_path / "job"
    job.mkdir()
    hosted = tmp_path / "hosted" / "o"
    hosted.mkdir(parents=True)
    for name in ("lib", "app"):
        (ws.repos / f"{name}.git").rename(hosted / name)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[url "file://{tmp_path}/hosted/"]\n\tinsteadOf = {HOST}/\n[protocol]\n\tallow = always\n'
    )
    checkout = job / "web"
    git(tmp_path, "clone", "-q", str(ws.repos / "web.git"), str(checkout))
    body = (
        f"Depends-On: {HOST}/o/lib/pull/1\r\nDepends-On: {HOST}/o/lib/pull/2\r\n"
        f"Depends-On: {HOST}/stranger/x/pull/1\r\n"
    )
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"action": "opened", "pull_request": {"body": body}}))
    env = {
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "o/web",
        "GITHUB_SERVER_URL": HOST,
        "GIT_CONFIG_GLOBAL": str(settings),
    }
    done = run_step(documented_step(), checkout, env)
    assert done.returncode == 0, both(done)
    assert (job / "lib" / "core.txt").exists() and (job / "lib" / "more.txt").exists()
    assert not (job / "app").exists() and not (job / "x").exists()
    assert "stranger/x/pull/1 is of another owner" in done.stderr
    assert f"o/lib: with {HOST}/o/lib/pull/2" in done.stdout

    event.write_text(json.dumps({"ref": "refs/heads/main"}))  # a push: no pull request
    assert run_step("orchestr siblings", checkout, env).stdout == ""


def test_ci_of_the_local_forge_takes_the_siblings(workspace: MakeWorkspace, tmp_path: Path) -> None:
    """Green only with the upstream's change: on its own base this CI is red."""
    program = make_program(tmp_path / "programs")
    ws = workspace(
        repos=(),
        cells={"core": {"repo": "lib"}, "app": {"repo": "app", "depends_on": ["core"]}},
        settings={"forge": {"ci": f"PATH='{program.parent}':$PATH sh ci.sh"}},
    )
    step = PAGE.split("```sh\n")[1].split("```")[0]
    ws.repo("lib", {"ci.sh": "true\n"})
    ws.repo("app", {"ci.sh": f"set -e\n{step}test -e siblings/lib/core.txt\n"})
    ws.run("run", "demo", code=0)
    ws.run("follow", "demo", "--once", code=0)
    results = {}
    for path in (ws.root / ".orchestr" / "forge" / "app" / "ci").glob("*.json"):
        results[path.stem] = json.loads(path.read_text())
    heads = ws.heads("app")
    assert "success" in json.dumps(results[heads[ws.branch("app")]])
    assert "failure" in json.dumps(results[heads["main"]])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Neither ORCHESTR_CI_BODY_FILE nor GITHUB_EVENT_PATH is set"),
        (["--ref", "x"], "no orchestr.toml in"),
        (["--pr", "-", "--ref", "x"], "--pr names the text itself"),
        (["x"], "`siblings` takes options only"),
    ],
)
def test_what_siblings_cannot_read_is_said(tmp_path: Path, words: list[str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestr", "siblings", *words], cwd=tmp_path, check=False,
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2 and told in done.stderr, both(done)


@pytest.mark.parametrize(
    ("server", "url", "is_ours"),
    [
        ("https://x.org/git/lab", "https://x.org/git/lab/Team/sub/a/-/merge_requests/1", True),
        ("https://x.org/git/lab/", "https://x.org/git/lab/team2/a/-/merge_requests/1", False),
        ("https://x.org/git/lab", "https://x.org/team/a/-/merge_requests/1", False),
        ("https://x.org:8443", "https://x.org:8443/team/a/-/merge_requests/1", True),
        ("https://x.org", "https://x.org:8443/team/a/-/merge_requests/1", False),
    ],
)
def test_whose_ci_it_is_at_a_gitlab_below_a_path(server: str, url: str, is_ours: bool) -> None:
    address = parse_address(url)
    assert address is not None
    env = {"GITLAB_CI": "true", "CI_PROJECT_PATH": "team/sub/web", "CI_SERVER_URL": server}
    kept, strangers = select_trusted([address], env)
    assert (bool(kept), bool(strangers)) == (is_ours, not is_ours)
