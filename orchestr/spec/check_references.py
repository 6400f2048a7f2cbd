"""What is wrong between checks, reviewers, contracts and the rest of a spec.

Works on the raw values, like `orchestr.spec.references`, whose second half this is: agents that are
not there, cells and repositories that do not exist, names used twice. What the kind of a check has
to answer (`check_ports`) is asked of the records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from orchestr.errors import Problem
from orchestr.spec.checks import CrossCheck
from orchestr.spec.field_types import quote_value, suggest_name
from orchestr.spec.phases import Action
from orchestr.spec.places import Path_
from orchestr.spec.product import PARTS, Product
from orchestr.spec.records import AUDIT, Cell
from orchestr.spec.yaml_source import Document


def check_proof_fields(
    document: Document, section: str, repos: Collection[str], agents: Collection[str] | None
) -> Iterable[Problem]:
    """Every problem; ``repos`` are those of the cells, ``agents`` None means: any will do."""
    raw = document.value
    cells = raw.get(section)
    names = list(cells) if isinstance(cells, dict) else []
    levels: list[tuple[Path_, Any]] = [(("defaults",), raw.get("defaults"))]
    levels += [((section, name), cells[name]) for name in names]
    for here, fields in levels:
        if not isinstance(fields, dict):
            continue
        yield from _shown_problems(document, (*here, "checks"), fields.get("checks"))
        for word in ("checks", "screenshots", "reviewers"):
            yield from _duplicate_problems(document, (*here, word), fields.get(word))
        if agents is not None:
            yield from _agent_problems(
                document, (*here, "reviewers"), fields.get("reviewers"), agents
            )
    yield from _audit_problems(document, section, levels)
    yield from _duplicate_problems(document, ("auditors",), raw.get("auditors"))
    if agents is not None:
        yield from _agent_problems(document, ("auditors",), raw.get("auditors"), agents)
    yield from _duplicate_problems(document, ("cross_checks",), raw.get("cross_checks"))
    yield from _shown_problems(document, ("cross_checks",), raw.get("cross_checks"))
    yield from _repo_problems(document, raw.get("cross_checks"), repos)
    yield from _owner_problems(document, raw.get("contracts"), names)


def _shown_problems(document: Document, here: Path_, listed: Any) -> Iterable[Problem]:
    """Checks that show what `done_means` does not name."""
    stated = document.value.get("done_means")
    items = [text.strip() for text in stated if isinstance(text, str)] if stated else []
    for index, check in enumerate(listed if isinstance(listed, list) else ()):
        shown = check.get("shows") if isinstance(check, dict) else None
        for number, text in enumerate(shown if isinstance(shown, list) else ()):
            if isinstance(text, str) and text.strip() not in items:
                message = f"{quote_value(text)} is no item of `done_means`"
                hint = suggest_name(text.strip(), items) if items else "write `done_means:` first"
                yield document.make_problem((*here, index, "shows", number), message, hint)


def _audit_problems(
    document: Document, section: str, levels: Iterable[tuple[Path_, Any]]
) -> Iterable[Problem]:
    """`repair: {audit: N}` in a cell, or with nothing to audit; a cell with the audit's name."""
    raw = document.value
    for here, fields in levels:
        repair = fields.get("repair") if isinstance(fields, dict) else None
        if isinstance(repair, dict) and AUDIT in repair:
            message = "the audit is the whole feature's"
            hint = "write `repair: {audit: 4}` at the top of the file"
            yield document.make_problem((*here, "repair", AUDIT), message, hint, at_key=True)
    repair = raw.get("repair")
    asked = isinstance(repair, dict) and AUDIT in repair
    if asked and not raw.get("auditors") and not raw.get("cross_checks"):
        message = "there is nothing to audit"
        hint = "write `auditors: [{agent: my-agent}]` or `cross_checks:`"
        yield document.make_problem(("repair", AUDIT), message, hint, at_key=True)
    cells = raw.get(section)
    if (asked or raw.get("auditors")) and isinstance(cells, dict) and AUDIT in cells:
        message = "`audit` is the name of the feature's last step"
        yield document.make_problem((section, AUDIT), message, "give the cell another name",
                                    at_key=True)  # fmt: skip


def check_product(document: Document) -> Iterable[Problem]:
    """`structure` has the fields of the feature's `product`, all of them and no others."""
    raw = document.value
    structure = raw.get("structure")
    if not isinstance(structure, dict):
        return
    products = [product.value for product in Product]
    product = raw.get("product")
    if product is None:
        hint = f"write `product:` with one of {', '.join(products)}"
        yield document.make_problem(("structure",), "needs a `product`", hint, at_key=True)
    if product not in products:
        return
    needed = PARTS[Product(product)]
    known = {name for names in PARTS.values() for name in names}
    for name in structure:
        if name in known and name not in needed:
            message = f"a {product} has no `{name}`"
            hint = f"its structure has {' and '.join(f'`{word}`' for word in needed)}"
            yield document.make_problem(("structure", name), message, hint, at_key=True)
    for name in needed:
        if name not in structure:
            message = f"a {product} needs `{name}` in its structure"
            yield document.make_problem(("structure",), message, None, at_key=True)
        elif structure[name] == []:
            hint = "name at least one, or leave `structure` out"
            yield document.make_problem(("structure", name), "is empty", hint)


def check_ports(document: Document, section: str, cell: Cell) -> Iterable[Problem]:
    """Checks that ask at a port of their cell, in a cell that has none: they could never run."""
    pushes = cell.action is Action.PUSH
    if cell.proof.ports and not pushes:
        return
    own = document.value[section][cell.name]
    for word in ("checks", "screenshots"):
        here: Path_ = (section, cell.name, word)
        if not (isinstance(own, dict) and word in own):
            here = ("defaults", word)
        for index, check in enumerate(getattr(cell.proof, word)):
            if check.needs_ports:
                message = f"it asks at a port of cell {cell.name}, which has none"
                hint = NO_PORTS_OF_PERSON if pushes else NO_PORTS
                yield document.make_problem((*here, index), message, hint)


def check_cross_ports(document: Document, crossed: Iterable[CrossCheck]) -> Iterable[Problem]:
    """The same for cross checks, which belong to no cell."""
    for index, cross in enumerate(crossed):
        if cross.check.needs_ports:
            message = "it asks at a port of a cell, and a cross check has none"
            yield document.make_problem(("cross_checks", index), message, NO_PORTS_OF_PERSON)


NO_PORTS = "write `ports: true` in the cell, `start:` for a service of its own, or a whole `url:`"
NO_PORTS_OF_PERSON = "start the service in it (`start: [...]`), or write a whole `url:`"


def _text_items(listed: Any, field: str) -> list[tuple[int, str]]:
    """(index, value) of a text field of the mappings in a list."""
    if not isinstance(listed, list):
        return []
    found = ((i, item.get(field)) for i, item in enumerate(listed) if isinstance(item, dict))
    return [(i, value) for i, value in found if isinstance(value, str)]


def _duplicate_problems(document: Document, here: Path_, listed: Any) -> Iterable[Problem]:
    seen: set[str] = set()
    for index, name in _text_items(listed, "name"):
        if name in seen:
            message = f"{quote_value(name)} is the name of another one, too"
            yield document.make_problem((*here, index, "name"), message, "rename one of them")
        seen.add(name)


def _agent_problems(
    document: Document, here: Path_, listed: Any, agents: Collection[str]
) -> Iterable[Problem]:
    for index, name in _text_items(listed, "agent"):
        if name not in agents:
            declare = "declare it in orchestr.toml, like [agents.my-agent]"
            hint = suggest_name(name, agents) or declare
            yield document.make_problem(
                (*here, index, "agent"), f"there is no agent {quote_value(name)}", hint
            )


def _repo_problems(document: Document, listed: Any, repos: Collection[str]) -> Iterable[Problem]:
    for index, name in _text_items(listed, "repo"):
        if name not in repos:
            message = f"no cell works in a repository {quote_value(name)}"
            yield document.make_problem(
                ("cross_checks", index, "repo"), message, suggest_name(name, repos)
            )


def _owner_problems(document: Document, listed: Any, cells: Collection[str]) -> Iterable[Problem]:
    for index, name in _text_items(listed, "owner"):
        if name not in cells:
            message = f"there is no cell {quote_value(name)}"
            yield document.make_problem(
                ("contracts", index, "owner"), message, suggest_name(name, cells)
            )
