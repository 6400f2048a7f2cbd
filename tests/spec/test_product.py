"""What a feature is for: its fields, how strict they are, and that they build nothing again."""

from __future__ import annotations

import json

import pytest

from orchestr.cell.agent.goal import describe_goal
from orchestr.errors import SpecError
from orchestr.spec import cache
from orchestr.spec.product import CliCommand, Product, Structure
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature

HEAD = "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: f}\ncells: {c: {repo: r}}\n"


def read(text: str) -> Feature:
    return compile_spec((HEAD + text).encode(), "s.yaml", "", None)[0]


CLI = (
    "intent: |\n  Why.\n  Really.\n"
    "product: cli\n"
    "structure: {entrypoint: keys, commands: [{name: list, does: prints all}, {name: wrap}]}\n"
    "done_means: it works\nnon_goals: [1.10, yes]\n"
)


def test_all_of_it_is_read_kept_and_put_into_words() -> None:
    feature = read(CLI)

    assert feature.structure == Structure(
        entrypoint="keys", commands=(CliCommand("list", "prints all"), CliCommand("wrap"))
    )
    assert (feature.product, feature.done_means) == (Product.CLI, ("it works",))
    assert feature.non_goals == ("1.10", "yes")
    value = json.loads(json.dumps(cache.encode_compiled((feature, ()))))
    assert cache.decode_compiled(value) == (feature, ())
    assert describe_goal(feature) == (
        "Why.\nReally.\n\nIt is done when:\n- it works\n\n"
        "From outside, the cli has:\n- the entrypoint `keys`\n- the command `list`: prints all\n"
        "- the command `wrap`\n\nNot part of it:\n- 1.10\n- yes"
    )
    assert describe_goal(read("")) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("product: webapp\nstructure: {routes: [{path: /login, text: [Sign in, 2]}, {path: /}]}\n",
         '- the page `/login`, which shows "Sign in", "2"\n- the page `/`'),
        ("product: library\nstructure: {functions: [{name: 'wrap(key)', does: wraps}]}\n",
         "- the function `wrap(key)`: wraps"),
        ("product: service\nstructure:\n  endpoints:\n    - {path: '/keys/{id}'}\n"
         "    - {path: /keys, method: POST, status: 201, does: makes one}\n",
         "- `GET /keys/{id}`\n- `POST /keys` (answers 201): makes one"),
        ("product: api\n", "The product is of the kind: api."),
    ],
)  # fmt: skip
def test_each_product_has_its_structure(text: str, words: str) -> None:
    assert describe_goal(read(text)).endswith(words)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("product: web\n", "5:10 product: must be `webapp` or `cli` or `library` or `api` or "
         "`service`, got `web` (did you mean `webapp`?)"),
        ("structure: {functions: [{name: f}]}\n",
         "5:1 structure: needs a `product` "
         "(write `product:` with one of webapp, cli, library, api, service)"),
        ("product: library\nstructure: {functions: [{name: f}], routes: [{path: /}]}\n",
         "6:37 structure.routes: a library has no `routes` (its structure has `functions`)"),
        ("product: cli\nstructure: {entrypoint: keys}\n",
         "6:1 structure: a cli needs `commands` in its structure (None)"),
        ("product: api\nstructure: {endpoints: []}\n",
         "6:24 structure.endpoints: is empty (name at least one, or leave `structure` out)"),
        ("product: api\nstructure: {endpoints: [{path: /a}, {path: /a, method: GET}]}\n",
         "6:24 structure.endpoints: `GET /a` is there twice (remove one)"),
        ("product: api\nstructure: {endpoints: [{path: a, methd: GET}]}\n",
         "6:32 structure.endpoints[0].path: `a` is not the path of a request "
         "(like /api/items?limit=3)"),
        ("intent: [a]\n", "5:9 intent: must be a text, got a list (None)"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_at_its_place(text: str, found: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(text)
    errors = [p for p in caught.value.problems if p.severity == "error"]
    assert found in [f"{p.line}:{p.column} {p.field}: {p.message} ({p.hint})" for p in errors]
