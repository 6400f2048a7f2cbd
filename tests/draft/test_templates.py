"""Every template becomes a spec that is read; no answer becomes syntax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestr.draft.templates import (
    TemplateFacts,
    fill_template,
    find_template,
    list_open_questions,
    list_templates,
)
from orchestr.errors import UsageError
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature

REPOS = ("platform", "java-sdk", "Web.SDK", "tests")
CHECKS = {"platform": None, "java-sdk": [{"kind": "pytest"}], "Web.SDK": [], "tests": []}


def facts(intent: str = "Why it is wanted") -> TemplateFacts:
    return TemplateFacts("keys", intent, REPOS, lambda repo: CHECKS[repo])


def answers(name: str, **more: str) -> dict[str, str]:
    """An answer to every question that needs one."""
    kinds = {"repo": "platform", "repos": "java-sdk, Web.SDK", "list": "a/**", "text": "some words"}
    open_ones = list_open_questions(find_template(name), {})
    needed = (q for q in open_ones if not (q.optional or q.default))
    return {**{q.key: kinds[q.kind] for q in needed}, **more}


def read(text: str) -> Feature:
    return compile_spec(text.encode(), "draft", "", ("sh",), Path("/nowhere"))[0]


@pytest.mark.parametrize("name", list_templates())
def test_every_template_becomes_a_spec(name: str) -> None:
    text = fill_template(find_template(name), answers(name), facts())
    feature = read(text)

    assert feature.name == "keys"
    assert {"java-sdk", "Web.SDK"} <= {cell.repo for cell in feature.cells}
    assert all(cell.todo for cell in feature.cells)
    assert "<" not in text


def test_what_is_left_empty_is_left_out() -> None:
    template = find_template("proto-first")
    plain = read(fill_template(template, answers("proto-first"), facts("")))
    assert [cell.name for cell in plain.cells] == ["contract", "java-sdk", "web-sdk"]
    assert plain.intent is None
    whole = answers("proto-first", server_paths="srv/**, cmd/**", tests_repo="tests")
    full = read(fill_template(template, whole, facts()))
    assert [cell.name for cell in full.cells] == [
        "tests", "contract", "server", "java-sdk", "web-sdk",
    ]  # fmt: skip
    assert full.cell("server").owned_paths == ("srv/**", "cmd/**")
    assert full.cell("server").depends_on == ("contract",)


def test_checks_are_those_of_the_repository() -> None:
    text = fill_template(find_template("sweep"), answers("sweep", repos=", ".join(REPOS)), facts())
    cells: dict[str, Any] = yaml.safe_load(text)["cells"]
    assert "checks" not in cells["platform"]  # the settings have some
    assert cells["java-sdk"]["checks"] == [{"kind": "pytest"}]
    assert cells["web-sdk"]["checks"] == "none"
    assert "checks: none # no check was found" in text


@pytest.mark.parametrize(
    "evil", ["a: b", "]\ncells: {}", "${x}", "<title>", "'", "# x", "- a", "*a"]
)
def test_an_answer_stays_a_text(evil: str) -> None:
    feature = read(
        fill_template(find_template("sweep"), answers("sweep", change=evil), facts(evil))
    )
    assert all(cell.todo == (evil,) for cell in feature.cells)
    assert feature.intent == evil


def test_missing_and_wrong_answers_are_named() -> None:
    template = find_template("sdk-matrix")
    with pytest.raises(UsageError) as caught:
        fill_template(template, {}, facts())
    assert "sdks: Which repositories are the SDKs?" in str(caught.value)
    assert caught.value.hint == "orchestr draft keys --set=sdks=VALUE --set=behaviour=VALUE"
    with pytest.raises(UsageError, match="there is no repository 'jav-sdk'"):
        fill_template(template, answers("sdk-matrix", sdks="jav-sdk"), facts())
    with pytest.raises(UsageError, match="has no 'sdk'"):
        list_open_questions(template, {"sdk": "x"})
    with pytest.raises(UsageError, match="there is no template 'swep'"):
        find_template("swep")
