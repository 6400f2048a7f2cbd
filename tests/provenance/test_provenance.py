"""Lineage, statements and their verification, through the program on real repositories."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import both
from tests.landing.house import FEATURE, Yard

CELLS = {
    "low": {
        "owned_paths": ["low*"],
        "checks": [{"kind": "command", "name": "unit", "run": ["true"]}],
        "approve": "publish",
    },
    "high": {"depends_on": ["low"]},
}
FILE = f"{FEATURE}.intoto.jsonl"


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Two stacked cells, approved and published; nothing has landed."""
    made = Yard.ready(tmp_path_factory.mktemp("provenance") / "ws", CELLS, build=False,
                      repos=("app",))  # fmt: skip
    made.run("run", FEATURE, code=1)
    made.run("approve", f"{FEATURE}:low", "--yes", code=0)
    made.run("run", FEATURE, code=0)
    yield made
    made.end()


@pytest.fixture
def attested(yard: Yard) -> Iterator[Yard]:
    """With its statements; whatever a test does to records and statements is put back."""
    yard.run("attest", FEATURE, code=0)
    state = yard.root / ".orchestr"
    kept = yard.root.parent / "kept"
    for name in ("cells", "attestations"):
        shutil.copytree(state / name, kept / name, symlinks=True)
    yield yard
    for name in ("cells", "attestations"):
        shutil.rmtree(state / name)
        shutil.copytree(kept / name, state / name, symlinks=True)
    shutil.rmtree(kept)


def statements(yard: Yard) -> list[dict[str, object]]:
    text = (yard.root / ".orchestr" / "attestations" / FILE).read_text()
    return [json.loads(line) for line in text.splitlines()]


def failed_points(yard: Yard, commit: str, *more: str) -> dict[str, str]:
    """The points that failed, by name; the exit code must say so."""
    done = yard.run("verify", commit, "--json", *more, code=1)
    return {one["name"]: one["text"] for one in json.loads(done.stdout)["points"] if not one["ok"]}


def test_a_head_has_provenance_and_evidence_that_verify(attested: Yard) -> None:
    head = attested.head("low")
    tree = git(attested.repos / "app.git", "rev-parse", f"{head}^{{tree}}")
    provenance, evidence, *_ = statements(attested)
    subject = [{"name": "app", "digest": {"gitCommit": head, "gitTree": tree}}]
    assert provenance["subject"] == evidence["subject"] == subject
    assert provenance["predicateType"] == "https://slsa.dev/provenance/v1"
    build = provenance["predicate"]["buildDefinition"]  # type: ignore[index]
    names = [one["name"] for one in build["resolvedDependencies"]]
    assert build["internalParameters"] == {"agent": "sh"}
    assert names == ["base", "prompt"]
    predicate = evidence["predicate"]
    assert predicate["checks"]["commit"] == head  # type: ignore[index]
    assert predicate["checks"]["results"] == [  # type: ignore[index]
        {"name": "unit", "kind": "command", "result": "passed"}
    ]
    assert [one["by"] for one in predicate["approvals"]] == [  # type: ignore[index]
        "Tess Tester <tess@example.org>"
    ]
    done = attested.run("verify", head, code=0)
    assert "low: passed on this commit: unit" in done.stdout
    assert f"{FILE} is not signed" in done.stdout
    before = (attested.root / ".orchestr" / "attestations" / FILE).read_bytes()
    attested.run("attest", FEATURE, code=0)
    assert (attested.root / ".orchestr" / "attestations" / FILE).read_bytes() == before


def test_a_changed_record_is_named_and_is_not_attested(attested: Yard) -> None:
    record = attested.cell_dir("low") / "checks.json"
    record.write_text(record.read_text().replace('"exit 0"', '"exit 0 "'))
    failed = failed_points(attested, attested.head("low"))
    assert failed["seal"] == f"{FEATURE}:low: checks.json is not as orchestr wrote it"
    assert "differs from the records in predicate.files[checks.json]" in failed["records"]
    assert record.exists()  # it is evidence: not set aside
    done = attested.run("attest", FEATURE, code=1)
    assert "checks.json in its folder: the content is none that orchestr wrote" in done.stderr
    assert [one["subject"][0]["digest"]["gitCommit"] for one in statements(attested)] == [  # type: ignore[index]
        attested.head("high")
    ] * 2


def test_another_prompt_than_the_agent_was_given_is_named(attested: Yard) -> None:
    (attested.cell_dir("low") / "attempts" / "1" / "prompt.md").write_text("Do nothing.\n")
    failed = failed_points(attested, attested.head("low"))
    assert "prompt.md is not what its agent was given" in failed["records"]


@pytest.mark.parametrize(
    ("old", "new", "name", "words"),
    [
        ('"agent":"sh"', '"agent":"gpt"', "records", "buildDefinition.internalParameters.agent"),
        ('"gitTree":"', '"gitTree":"0', "subject", "is about tree 0"),
        ('"result":"passed"', '"result":"skipped"', "records", "checks.results[unit].result"),
        ("urn:orchestr:evidence:v1", "urn:other", "statement", "no statement of evidence"),
        ('{"_type":"https://in-toto.io/Statement/v1"', '{"_type":"x"', "statement", "no in-toto"),
    ],
)
def test_a_changed_statement_is_named(
    attested: Yard, old: str, new: str, name: str, words: str
) -> None:
    file = attested.root / ".orchestr" / "attestations" / FILE
    lines = file.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if old in line)
    lines[place] = lines[place].replace(old, new, 1)
    file.write_text("".join(lines))
    failed = failed_points(attested, attested.head("low"))
    assert words in failed[name], failed


def test_another_commit_of_the_same_tree_and_a_persons_have_no_evidence(attested: Yard) -> None:
    app, head = attested.repos / "app", attested.head("low")
    rebased = git(app, "commit-tree", f"{head}^{{tree}}", "-p", "main", "-m", "rebased")
    failed = failed_points(attested, rebased)
    assert failed["statement"] == (
        f"{FEATURE}:low has one of commit {head[:12]} with the same tree, none of this commit"
    )
    first = git(app, "rev-parse", "main")
    assert "nothing is known" in attested.run("verify", first, code=2).stdout
    assert "orchestr did not make it" in attested.run("lineage", first, code=0).stdout
    shutil.rmtree(attested.root / ".orchestr" / "attestations")
    assert failed_points(attested, head)["statement"].endswith(f"orchestr attest {FEATURE}")
    (attested.root / ".orchestr" / "attestations").mkdir()


def test_lineage_of_a_file_and_of_a_commit(attested: Yard) -> None:
    shown = attested.run("lineage", "repos/app/low.txt", code=0).stdout
    assert shown == attested.run("lineage", "app/low.txt", code=0).stdout
    assert "low.txt in app: 1 commit, 1 of cells" in shown
    assert re.search(r"spec +specs/demo.yaml:\d+ owned_paths: low\*", shown)
    assert "approval publish: approved by Tess Tester" in shown
    found = json.loads(attested.run("lineage", attested.head("high"), "--json", code=0).stdout)
    (commit,) = found["commits"]
    assert (commit["made_by"]["cell"], commit["made_by"]["role"]) == ("high", "attempt")
    (cell,) = found["cells"]
    prompt = (attested.cell_dir("high") / "attempts" / "1" / "prompt.md").read_bytes()
    assert cell["head"]["starts"][0]["prompt"] == hashlib.sha256(prompt).hexdigest()
    assert cell["spec"]["field"] == "todo"
    done = attested.run("lineage", "nope", code=2)
    assert "is no path and no commit" in done.stderr


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")
def test_a_signature_is_by_gits_key_and_for_these_bytes(attested: Yard, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    allowed = tmp_path / "allowed"
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[include]\n\tpath = {os.environ['GIT_CONFIG_GLOBAL']}\n"
        f"[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = {key}.pub\n"
        f'[gpg "ssh"]\n\tallowedSignersFile = {allowed}\n'
    )
    env, head = {"GIT_CONFIG_GLOBAL": str(config)}, attested.head("low")
    assert "signature" in failed_points(attested, head, "--signed")  # there is none yet
    shown = attested.run("attest", FEATURE, env=env, code=0).stdout
    assert f"signed with {key}.pub (ssh)" in shown
    done = attested.run("verify", head, env=env, code=1)
    assert f"its key is not among those of {allowed}" in done.stdout
    allowed.write_text(f"tess@example.org {key.with_suffix('.pub').read_text()}")
    done = attested.run("verify", head, "--signed", env=env, code=0)
    assert f"{FILE} is signed by tess@example.org" in done.stdout
    shown = attested.run("attest", FEATURE, env=env, code=0).stdout
    assert "signed already, by tess@example.org" in shown
    file = attested.root / ".orchestr" / "attestations" / FILE
    file.write_bytes(file.read_bytes() + b"\n")
    assert "signature" in both(attested.run("verify", head, env=env, code=1))
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "word", "-f", str(locked)],
                   check=True)  # fmt: skip
    config.write_text(config.read_text().replace(f"{key}.pub", str(locked)))
    done = attested.run("attest", FEATURE, env={**env, "SSH_AUTH_SOCK": ""}, code=1)
    assert f"cannot sign with {locked}" in done.stderr and "--unsigned" in done.stderr
    attested.run("attest", FEATURE, "--unsigned", env=env, code=0)
    assert not file.with_name(f"{FILE}.sig").exists()


def test_a_persons_commit_on_a_cells_branch_and_names_that_lie(workspace: MakeWorkspace) -> None:
    """Two commits on the branch, one of each hand; then one whose trailers name no cell."""
    ws = workspace(cells={"one": {}})
    ws.run("run", FEATURE, code=0)
    agents, app = ws.head("one"), ws.worktree("one")
    write(app, {"more.txt": "by hand\n"})
    git(app, "add", "more.txt")
    git(app, "commit", "--quiet", "-m", "more")
    ws.run("run", FEATURE, code=0)
    ws.run("attest", FEATURE, code=0)
    head = ws.head("one")
    found = {
        commit: json.loads(ws.run("lineage", commit, "--json", code=0).stdout)["commits"][0]
        for commit in (agents, head)
    }
    assert [one["made_by"]["role"] for one in found.values()] == ["attempt", "person"]
    shown = ws.run("verify", head, code=0).stdout
    assert "evidence of demo:one" in shown and "provenance of" not in shown
    done = ws.run("verify", agents, code=1)
    assert "it is of demo:one; only heads and landed commits have one" in done.stdout
    message = "lies\n\nOrchestr-Feature: ../../../demo\nOrchestr-Cell: \x1b[31mred\n"
    lying = git(app, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", message)
    done = ws.run("lineage", lying, code=0)
    assert "landing of ../../../demo:" in done.stdout and "\x1b" not in done.stdout
    (ws.root / "specs" / f"{FEATURE}.yaml").rename(ws.root / "kept.yaml")
    ws.spec({"two": {}}, feature="other")
    shown = ws.run("lineage", head, code=0).stdout
    assert "no spec names it any more" in shown and "demo:one: head" in shown
    assert "verified" in ws.run("verify", head, code=0).stdout


def test_what_landed_is_traced_attested_and_verified(yard: Yard) -> None:
    """The last of this file: it lands."""
    yard.run("land", FEATURE, "--yes", code=0)
    landed = yard.main()
    yard.run("attest", FEATURE, code=0)
    git(yard.repos / "app", "fetch", "--quiet")
    done = yard.run("verify", "origin/main", code=0)
    assert f"{FEATURE}:high: the merge queue found this commit green" in done.stdout
    shown = yard.run("lineage", landed, code=0).stdout
    assert f"landing of {FEATURE}:high, run " in shown
    assert f"landed   main at {landed[:12]}" in shown
    shutil.rmtree(yard.root / ".orchestr" / "cells" / FEATURE / "high")
    (yard.root / ".orchestr" / "journal" / f"{FEATURE}.jsonl").unlink()
    shown = yard.run("lineage", landed, code=0).stdout
    assert f"landing of {FEATURE}:high, by its trailers" in shown
    assert "no head is recorded" in shown
