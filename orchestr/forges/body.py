"""The text of a pull request: its title, and our part of its body.

Pure and deterministic: equal input gives equal text, so that an unchanged body is not edited.
Owns what the text says (feature, cell, todos, stack, upstreams, dependents, siblings, merge
order). Leaves its place in the body to `orchestr.forges.body_markers`, the escaping of foreign
text to `orchestr.forges.markdown_escape`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.body_markers import splice_block, wrap_block
from orchestr.forges.markdown_escape import inline_code, literal_text, one_line, render_link
from orchestr.spec.phases import Action
from orchestr.spec.records import Cell, Feature

__all__ = ["PRLink", "render_block", "render_title", "splice_block"]

TITLE_LIMIT = 248  # characters; GitHub takes 256, GitLab 255 with `Draft: `
DEFAULT_TYPE = "feat"  # of a conventional commit
TODO_BUDGET = 20_000  # characters of todos in a body; GitHub takes 65,536 in all


@dataclass(frozen=True, slots=True)
class PRLink:
    """What is known of another cell's pull request; no ``url``: it has none (yet)."""

    url: str | None = None
    state: PRState | None = None
    draft: bool = False
    no_change: bool = False

    @classmethod
    def from_pull_request(cls, pr: PullRequest) -> PRLink:
        """The link to a pull request that a forge showed."""
        return cls(pr.url, pr.state, pr.draft)


def render_title(feature: Feature, cell: Cell, type_: str | None = None) -> str:
    """One line: ``feat(platform): TITLE (KEY) [CELL]``; ``test(REPO): TITLE (KEY)`` for push.

    ``type_`` instead of the feature's own type. A type that ends with ``!`` marks a breaking
    change, which release tools want behind the scope: ``feat(platform)!: ...``.
    """
    push = cell.action is Action.PUSH
    kind = type_ or ("test" if push else feature.type or DEFAULT_TYPE)
    mark = "!" if kind.endswith("!") else ""
    start = f"{kind.removesuffix('!')}({one_line(cell.repo)}){mark}: "
    end = f" ({one_line(feature.key)})" + ("" if push else f" [{cell.name}]")
    words = one_line(cell.title or feature.title or feature.name)
    room = max(TITLE_LIMIT - len(start) - len(end), 20)
    if len(words) > room:
        words = words[: room - 1].rstrip() + "…"
    return f"{start}{words}{end}"


def render_block(
    feature: Feature,
    cell: Cell,
    *,
    base: str,
    links: Mapping[str, PRLink],
    stack: Sequence[str] = (),
    draft: bool = True,
    partial: bool = False,
    summary: str = "",
    evidence: Sequence[str] = (),
    depends_on: str = "",
) -> str:
    """Our part of the body, between its two markers.

    ``base`` is the branch the pull request goes into, ``stack`` the same-repository upstreams
    that the cell's branch starts from, ``links`` the pull requests known now, by cell.
    ``summary`` is foreign text, shown literally; ``evidence`` are sections of
    `orchestr.forges.body_evidence`, ``depends_on`` the lines of `orchestr.forges.depends_on`.
    """
    paragraphs = [
        f"**{literal_text(feature.title or feature.name)}**"
        f"\n\nFeature {inline_code(feature.name)}, cell {inline_code(cell.name)}"
        f" of {len(feature.cells)} ({literal_text(feature.key)}),"
        f" repository {inline_code(cell.repo)}.",
        literal_text(summary, limit=4000),
        _partial_notice() if partial else "",
        _draft_notice() if draft else "",
        _dormant_tests_notice(feature) if cell.action is Action.PUSH else "",
        _render_section("Todo", _todo_items(cell)),
        *evidence,
        _stack_sentence(feature, base, stack, links),
        _merge_order(feature, cell, links),
        *_relative_sections(feature, cell, links),
        _render_section("Scenarios", [inline_code(name) for name in feature.scenarios]),
        depends_on,
    ]
    return wrap_block(feature.name, cell.name, "\n\n".join(p for p in paragraphs if p))


def _draft_notice() -> str:
    return (
        "> This is a draft. Review bots skip drafts: it gets no bot review until it is marked"
        " ready for review, or a review is asked for by hand."
    )


def _partial_notice() -> str:
    return "> **Partial**: not every check or review of this cell passed."


def _dormant_tests_notice(feature: Feature) -> str:
    probe = inline_code(f"supports {feature.name}")
    return (
        f"The tests here are dormant: each is skipped until the program under test answers"
        f" {probe}. The other pull requests of this feature wake them up, each in its own"
        f" repository; until then this one shows early what is wanted and breaks nothing."
    )


def _todo_items(cell: Cell) -> list[str]:
    items: list[str] = []
    left = TODO_BUDGET
    for n, todo in enumerate(cell.todo):
        item = literal_text(todo)
        left -= len(item)
        if left < 0:
            return [*items, f"and {len(cell.todo) - n} more, in the spec"]
        items.append(item or "(empty)")
    return items


def _stack_sentence(
    feature: Feature, base: str, stack: Sequence[str], links: Mapping[str, PRLink]
) -> str:
    if not stack:
        return f"Goes into {inline_code(base)}."
    below = ", ".join(f"{inline_code(name)} ({_describe_link(links.get(name))})" for name in stack)
    return f"Stacked: goes into {inline_code(base)}, and its branch starts from {below}."


def _merge_order(feature: Feature, cell: Cell, links: Mapping[str, PRLink]) -> str:
    """Which pull requests have to be merged before this one, the first of them first."""
    waiting = [
        name for name in _upstreams_in_order(feature, cell) if not _is_settled(links.get(name))
    ]
    if waiting:
        repos = {other.name: other.repo for other in feature.cells}
        lines = [f"{n}. {_cell_line(repos, name, links)}" for n, name in enumerate(waiting, 1)]
        return "### Merge first, in this order\n\n" + "\n".join(lines)
    if cell.depends_on:
        return "Everything that this one needs is merged."
    return "Nothing has to be merged before this one."


def _relative_sections(feature: Feature, cell: Cell, links: Mapping[str, PRLink]) -> Iterable[str]:
    upstreams = list(cell.depends_on)
    dependents = [other.name for other in feature.cells if cell.name in other.depends_on]
    near = {cell.name, *upstreams, *dependents}
    others = [other.name for other in feature.cells if other.name not in near]
    repos = {other.name: other.repo for other in feature.cells}
    groups = (("Upstreams", upstreams), ("Dependents", dependents), ("Siblings", others))
    for title, names in groups:
        yield _render_section(title, [_cell_line(repos, name, links) for name in names])


def _cell_line(repos: Mapping[str, str], name: str, links: Mapping[str, PRLink]) -> str:
    place = f" in {inline_code(repos[name])}" if name in repos else ""
    return f"{inline_code(name)}{place}: {_describe_link(links.get(name))}"


def _describe_link(known: PRLink | None) -> str:
    if known is not None and known.no_change:
        return "no change needed"
    if known is None or known.url is None:
        return "no pull request yet"
    words = [str(known.state)] if known.state else []
    if known.draft and known.state is PRState.OPEN:
        words.append("draft")
    return render_link(known.url) + (f" ({', '.join(words)})" if words else "")


def _is_settled(known: PRLink | None) -> bool:
    return known is not None and (known.no_change or known.state is PRState.MERGED)


def _upstreams_in_order(feature: Feature, cell: Cell) -> list[str]:
    """Every upstream, near and far, each after its own; ties in the order of the spec."""
    cells = {other.name: other for other in feature.cells}
    order: dict[str, None] = {}
    path = [(cell.name, iter(cell.depends_on))]
    entered = {cell.name}
    while path:  # by hand, as chains of a thousand cells are deeper than Python's stack
        name, upstreams = path[-1]
        deeper = next((up for up in upstreams if up in cells and up not in entered), None)
        if deeper is None:
            path.pop()
            order[name] = None
        else:
            entered.add(deeper)
            path.append((deeper, iter(cells[deeper].depends_on)))
    del order[cell.name]
    return list(order)


def _render_section(title: str, items: Sequence[str]) -> str:
    return f"### {title}\n\n" + "\n".join(f"- {item}" for item in items) if items else ""
