"""`vars:` and matrix cells: what they become, and where a mistake in them is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestr.errors import SpecError
from orchestr.spec.document import read_document
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature

HERE = Path(__file__).parent
HEAD = "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: f}\n"


def read(text: str) -> Feature:
    return compile_spec((HEAD + text).encode(), "s.yaml", "", None)[0]


def errors(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(text)
    found = [p for p in caught.value.problems if p.severity == "error"]
    return [f"{p.line}:{p.column} {p.field}: {p.message} ({p.hint})" for p in found]


def value(text: str) -> Any:
    document = read_document("s.yaml", text.encode(), None)
    assert document.problems == []
    return document.value


def test_variables_stand_in_texts_lists_and_names() -> None:
    feature = read(
        "vars: {alg: ml-kem, size: 768, all: '${alg}:${size}', flags: [-k, '${alg}'], code: 3}\n"
        "scenarios: ['${all} works']\n"
        "cells:\n"
        "  ${alg}-api:\n"
        "    repo: ${alg}\n"
        "    todo: ['Add ${all}', 'keep $${alg} and ${HOME}']\n"
        "    checks:\n"
        "      - {kind: command, run: [make, '${flags}', x], exit: '${code}'}\n"
    )

    (cell,) = feature.cells
    assert (cell.name, cell.repo, cell.branch) == ("ml-kem-api", "ml-kem", "f-ml-kem-api")
    assert cell.todo == ("Add ml-kem:768", "keep ${alg} and ${HOME}")
    assert feature.scenarios == ("ml-kem:768 works",)
    (check,) = cell.proof.checks
    assert (check.commands, getattr(check, "exit")) == ((("make", "-k", "ml-kem", "x"),), 3)  # noqa: B009


def test_without_vars_and_for_every_text_stays() -> None:
    assert read("cells: {a: {repo: r, todo: ['echo ${x} $${y}']}}\n").cells[0].todo == (
        "echo ${x} $${y}",
    )


def test_a_matrix_is_a_cell_for_each_combination() -> None:
    feature = read(
        "cells:\n"
        "  ${os}-${lang.name}:\n"
        "    for: {os: [linux, mac], lang: [{name: go, todo: [a, b]}, {name: web, todo: []}]}\n"
        "    repo: ${lang.name}-sdk\n"
        "    owned_paths: ['${os}/**']\n"
        "    todo: ['${lang.todo}', 'build on ${os}']\n"
    )

    assert [(c.name, c.repo, c.owned_paths, c.todo) for c in feature.cells] == [
        ("linux-go", "go-sdk", ("linux/**",), ("a", "b", "build on linux")),
        ("linux-web", "web-sdk", ("linux/**",), ("build on linux",)),
        ("mac-go", "go-sdk", ("mac/**",), ("a", "b", "build on mac")),
        ("mac-web", "web-sdk", ("mac/**",), ("build on mac",)),
    ]


def test_a_matrix_is_named_as_it_is_written() -> None:
    """All of its cells; of an axis that both have, the one with the same value."""
    feature = read(
        "cells:\n"
        "  lib-${l}: {for: {l: [a, b]}, repo: r, todo: [x]}\n"
        "  test-${l}-${n}:\n"
        "    for: {l: [a, b], n: ['1', '2']}\n"
        "    repo: r\n"
        "    todo: [x]\n"
        "    depends_on: ['lib-${l}']\n"
        "  pack-${l}: {for: {l: [a, b]}, repo: r, todo: [x], depends_on: ['test-${l}-${n}']}\n"
        "  docs: {repo: d, todo: [x], depends_on: ['lib-${l}', pack-a]}\n"
    )

    needs = {cell.name: cell.depends_on for cell in feature.cells}
    assert needs["test-b-2"] == ("lib-b",)
    assert needs["pack-a"] == ("test-a-1", "test-a-2")
    assert needs["docs"] == ("lib-a", "lib-b", "pack-a")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vars: {a: x}\ncells: {c: {repo: '${b}', todo: ['${a']}}\n",
         "5:19 cells.c.repo: there is no `${b}` (known: a)"),
        ("vars: {a: '${b}', b: '${a}'}\ncells: {c: {repo: r}}\n",
         "4:8 vars.a: variables name each other: a -> b -> a (write one of them out)"),
        ("vars: {A: x}\ncells: {c: {repo: r}}\n",
         "4:8 vars.A: `A` cannot be the name of a variable (use small letters, digits, `-` and "
         "`_`, starting with a small letter)"),
        ("vars: [x]\ncells: {c: {repo: r}}\n",
         "4:7 vars: must be a mapping of texts (write `name: text` lines below it)"),
        ("vars:\n  a:\ncells: {c: {repo: r}}\n",
         "5:3 vars.a: is empty (write a value, or leave the field out)"),
        ("vars: {a: {b: x}}\ncells: {c: {repo: 'r-${a}'}}\n",
         "5:19 cells.c.repo: `${a}` is a mapping (name one of its values, like `${a.b}`)"),
        ("vars: {a: [x]}\ncells: {c: {repo: 'r-${a}'}}\n",
         "5:19 cells.c.repo: `${a}` is a list (let it stand alone, without other text)"),
        ("cells:\n  c: {for: {l: [a, b]}, repo: r}\n",
         "5:3 cells.c: two cells of this matrix are called `c` (its name must hold `${l}`)"),
        ("cells:\n  c-${l}: {for: {l: []}, repo: r}\n",
         "5:21 cells.c-${l}.for.l: must be a list with one value or more "
         "(write `for: {lang: [java, web]}`)"),
        ("cells:\n  c-${l}: {for: [a], repo: r}\n",
         "5:17 cells.c-${l}.for: must be a mapping of lists (write `for: {lang: [java, web]}`)"),
        ("cells:\n  c-${l}: {for: {l: [{n: a}]}, repo: r}\n",
         "5:3 cells.c-${l}: `${l}` is a mapping (name one of its values, like `${l.n}`)"),
        ("cells:\n  c-${l.m}: {for: {l: [{n: a}]}, repo: r}\n",
         "5:3 cells.c-${l.m}: `${l.m}`: there is no `m` in it (known: n)"),
        ("cells:\n  c-${l}: {for: {l: [a, b]}, repo: r}\n  d: {repo: '${l}'}\n",
         "6:13 cells.d.repo: there is no `${l}` (`l` is known in the cells whose `for` has it)"),
        ("cells:\n  c-${l}:\n    for: {l: [a, b]}\n    repo: r\n    tod: [x]\n",
         "8:5 cells.c-a.tod: unknown field (did you mean `todo`?)"),
        ("cells:\n  c-${l}: {for: {l: [{n: a, r: x/y}]}, repo: '${l.r}'}\n",
         None),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place_once(text: str, found: str | None) -> None:
    lines = errors(text)
    if found is not None:
        assert lines[0] == found
    assert len({line.partition(" ")[0] for line in lines}) == len(lines)


def test_a_wrong_value_is_shown_where_it_is_written() -> None:
    (found,) = errors("cells:\n  c-${l.n}:\n    for:\n      l:\n        - {n: a, r: x/y}\n"
                      "    repo: ${l.r}\n    todo: [x]\n")  # fmt: skip
    assert found.startswith("8:21 cells.c-a.repo: `x/y` is a path")


def test_nothing_grows_without_measure() -> None:
    doubling = "".join(f"  a{n}: ['${{a{n - 1}}}', '${{a{n - 1}}}']\n" for n in range(1, 40))
    assert (
        "would make more than 200,000 values"
        in errors(f"vars:\n  a0: [x]\n{doubling}cells: {{c: {{repo: r}}}}\n")[0]
    )
    texts = "".join(f"  a{n}: '${{a{n - 1}}}${{a{n - 1}}}'\n" for n in range(1, 40))
    assert (
        "would make more than"
        in errors(f"vars:\n  a0: xxxxxxxx\n{texts}cells: {{c: {{repo: r}}}}\n")[0]
    )
    deep = "".join(f"  a{n}: [['${{a{n - 1}}}', y]]\n" for n in range(1, 60))
    assert "levels deep" in errors(f"vars:\n  a0: x\n{deep}cells: {{c: {{repo: r}}}}\n")[0]
    wide = f"[{', '.join(map(str, range(40)))}]"
    assert "1,600 cells" in errors(f"cells:\n  c-${{a}}: {{for: {{a: {wide}, b: {wide}}}}}\n")[0]


MATRIX_OF_MLKEM = """
apiVersion: opentdf.io/v1alpha1
kind: Feature
metadata:
  name: ${feature}
  jira: DSPX-2399
  title: "Pure ML-KEM-768 post-quantum key encapsulation mechanism"
  created: 2026-05-18
vars:
  feature: mechanism-mlkem
  wrapped: >-
    KAO type "wrapped"; wrappedKey = base64(ml_kem_ciphertext [1088 bytes] || aes_wrapped_dek);
    no ephemeralPublicKey
repos:
  tests: {branch: DSPX-2399-tests, todo: @tests}
  platform-${part.name}:
    for:
      part:
        - {name: proto, needs: [], todo: @platform-proto}
        - {name: service, needs: [platform-proto], todo: @platform-service}
        - {name: go-sdk, needs: [platform-proto, platform-service], todo: @platform-go-sdk}
    path: platform
    branch: DSPX-2399-platform-${part.name}
    depends_on: ["${part.needs}"]
    todo: ["${part.todo}"]
  ${sdk.name}-sdk:
    for:
      sdk:
        - {name: java, cli: java, todo: @java-sdk}
        - {name: web, cli: js, todo: @web-sdk}
    path: ${sdk.name}-sdk
    branch: DSPX-2399-${sdk.name}-sdk
    depends_on: [platform-proto]
    todo: ["${sdk.todo}", "Add `supports ${feature}` case to xtest/sdk/${sdk.cli}/cli.sh"]
scenarios: ["xtest/scenarios/${feature}.yaml"]
"""


def test_a_matrix_form_of_the_real_spec_gives_the_same_six_cells() -> None:
    real = (HERE / "mechanism-mlkem.yaml").read_bytes()
    text = MATRIX_OF_MLKEM
    for name, cell in yaml.safe_load(real)["repos"].items():
        todo = cell["todo"][:-1] if name in ("java-sdk", "web-sdk") else cell["todo"]
        flow = yaml.safe_dump(todo, default_flow_style=True, width=10**6).strip()
        text = text.replace(f"@{name}}}", f"{flow}}}")

    plain = compile_spec(real, "s.yaml", "", None)[0]
    matrix = compile_spec(text.encode(), "s.yaml", "", None)[0]

    assert len(matrix.cells) == 6
    assert matrix == plain
