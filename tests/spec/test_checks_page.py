"""docs/checks.md: every example is one that the reader takes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from orchestr.settings.loader import load_settings
from orchestr.spec.check_kinds import list_kinds
from orchestr.spec.check_models import MODELS, read_checks

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return found


def test_the_examples_of_all_kinds_are_read() -> None:
    kinds = set()
    for block in blocks("yaml"):
        value = yaml.safe_load(block)
        checks = value if isinstance(value, list) else []
        found, faults = read_checks(checks)
        assert faults == []
        kinds |= {check.kind for check in found}
    assert kinds == set(list_kinds())


def test_the_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "orchestr.toml").write_text("\n".join(blocks("toml")))

    assert [c.name for c in load_settings(tmp_path, {}).repo_settings("platform").checks] == [
        "command"
    ]


def test_every_field_is_named() -> None:
    text = PAGE.read_text("utf-8")
    fields = {field.alias or name for model in MODELS for name, field in model.model_fields.items()}

    assert [name for name in sorted(fields) if name not in text] == []
