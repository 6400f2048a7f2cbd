"""`init --skill`: one source, read by agents, and a person's text is never lost."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from orchestr.commands.init import Init
from orchestr.draft.files import digest_bytes
from orchestr.errors import OrchestrError
from orchestr.registry import VERBS
from orchestr.settings.skill_files import (
    FOLDERS,
    SkillStep,
    decide_step,
    list_skills,
    stamp_skill,
    write_skills,
)
from orchestr.spec.reader import compile_spec

ROOT = Path(__file__).parents[1]
OURS = stamp_skill(b"text\n")
SHELL = re.compile(r"`orchestr ([a-z]+)")


@pytest.mark.parametrize(
    ("current", "force", "step"),
    [
        (None, False, SkillStep.MAKE),
        (OURS, False, SkillStep.SAME),
        (stamp_skill(b"of an earlier version\n"), False, SkillStep.UPDATE),
        (stamp_skill(b"of an earlier version\n").replace(b"earlier", b"my"), False, SkillStep.KEEP),
        (OURS + b"and mine\n", False, SkillStep.KEEP),
        (b"of a person\n", False, SkillStep.KEEP),
        (b"of a person\n", True, SkillStep.REPLACE),
        (stamp_skill(b"of an earlier version\n"), True, SkillStep.UPDATE),
    ],
)
def test_what_becomes_of_a_file(current: bytes | None, force: bool, step: SkillStep) -> None:
    assert decide_step(current, OURS, force=force) is step


@pytest.mark.parametrize("reader", FOLDERS)
def test_a_persons_text_is_kept_then_replaced_on_purpose_with_a_copy(
    reader: str, tmp_path: Path
) -> None:
    made = write_skills(tmp_path, reader)
    assert [one.step for one in made] == [SkillStep.MAKE] * 2
    first = tmp_path / made[0].path
    first.write_text(first.read_text().replace("# Run a feature", "# How we run a feature"))
    mine = first.read_bytes()
    again = write_skills(tmp_path, reader)
    assert [one.step for one in again] == [SkillStep.KEEP, SkillStep.SAME]
    assert first.read_bytes() == mine
    forced = write_skills(tmp_path, reader, force=True)[0]
    assert forced.step is SkillStep.REPLACE
    assert (tmp_path / forced.copy).read_bytes() == mine
    assert b"How we run" not in first.read_bytes()


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "repo", tmp_path / "outside"
    (inside / "own").mkdir(parents=True)
    outside.mkdir()
    (inside / ".agents").symlink_to(outside)
    with pytest.raises(OrchestrError, match="leads out of the folder"):
        write_skills(inside, "agents")
    assert list(outside.iterdir()) == []
    (inside / ".claude").symlink_to("own")
    assert write_skills(inside, "claude")[0].step is SkillStep.MAKE


def test_the_plugin_of_the_repository_has_the_same_files() -> None:
    for name, text in list_skills().items():
        assert (ROOT / "plugin" / "skills" / name / "SKILL.md").read_bytes() == text
    assert (ROOT / "plugin" / "skills").is_symlink()


@pytest.mark.parametrize("name", ["orchestr", "orchestr-design"])
def test_a_skill_is_what_agents_read(name: str) -> None:
    text = list_skills()[name].decode()
    head, body = text.removeprefix("---\n").split("\n---\n", 1)
    facts = yaml.safe_load(head)
    assert facts["name"] == name
    assert 0 < len(facts["description"]) <= 1024
    assert {verb for verb in SHELL.findall(body) if verb not in VERBS.names()} == set()
    allowed = re.findall(r"Bash\(orchestr (\w+):", facts["allowed-tools"])
    assert {"run", "land", "approve", "amend", "forget", "draft"} & set(allowed) == set()


def test_the_spec_that_the_skill_shows_is_good() -> None:
    text = list_skills()["orchestr-design"].decode()
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    data = example.encode()
    feature, warnings = compile_spec(data, "skill", digest_bytes(data), None)
    assert [cell.name for cell in feature.cells] == ["proto", "java-sdk"]
    assert [str(one) for one in warnings] == []


def test_init_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCHESTR_FROM", raising=False)
    given = {"skill": ["claude"], "force": False}
    assert Init().run_verb(None, given, []) == 0  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines() == [
        "made .claude/skills/orchestr/SKILL.md",
        "made .claude/skills/orchestr-design/SKILL.md",
        "there is no workspace here yet; to make one: orchestr init",
    ]
    Path(".claude/skills/orchestr/SKILL.md").write_text("mine\n")
    Init().run_verb(None, given, [])  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert "kept .claude/skills/orchestr/SKILL.md: it was changed by hand" in said
    assert "orchestr init --skill claude --force (keeps a copy)" in said
    assert not os.path.lexists("orchestr.toml")
