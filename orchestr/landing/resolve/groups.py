"""Merge what stands in brackets: parameters, arguments, entries, names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestr.landing.resolve.cases import check_numbers
from orchestr.landing.resolve.definitions import find_surplus
from orchestr.landing.resolve.languages import PYTHON, SCRIPT, Kind, Language
from orchestr.landing.resolve.names import identify_element, name_element
from orchestr.landing.resolve.order import find_order, may_be_command
from orchestr.landing.resolve.sequence import SequenceRules, allow_beside, merge_sequences
from orchestr.landing.resolve.texts import merge_flag
from orchestr.landing.resolve.tree import (
    Element,
    Group,
    NameTwice,
    Node,
    Refused,
    Token,
    first_token,
    with_lead,
)
from orchestr.landing.resolve.trivia import merge_white_space

MergeNodes = Callable[[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]], tuple[Node, ...]]


def merge_elements(
    base: tuple[Element, ...],
    ours: tuple[Element, ...],
    theirs: tuple[Element, ...],
    *,
    language: Language,
    before: Sequence[Node],
    opening: str,
    merge_nodes: MergeNodes,
) -> list[Element]:
    """Both sides' edits of a list. ``before``: what stands before the bracket ``opening``; it says
    whether the order of what both added counts. Raises Refused."""

    def merge_one(old: Element, mine: Element, other: Element) -> Element:
        comma = mine.comma or other.comma
        if old.comma and mine.comma and other.comma:
            tail = merge_white_space(old.comma.tail, mine.comma.tail, other.comma.tail)
            comma = replace(mine.comma, tail=tail)
        return Element(merge_nodes(old.nodes, mine.nodes, other.nodes), comma)

    def join(mine: list[Element], other: list[Element]) -> list[Element]:
        return _join_elements(mine, other, language, before, opening)

    rules = SequenceRules[Element](
        identify=lambda element: identify_element(element, language),
        merge=merge_one,
        same=lambda old, new: (
            "".join(old.source.split()).rstrip(",") == "".join(new.source.split()).rstrip(",")
        ),
        join=join,
        check_beside=allow_beside if _is_display(before, opening) else _check_beside,
    )
    merged = merge_sequences(base, ours, theirs, rules)
    versions = (base, ours, theirs)
    _check_twice(merged, versions, language)
    plain = all(len(element.nodes) == 1 and _is_name(element.nodes[0]) for element in merged)
    order = find_order(*([element.key for element in side] for side in versions)) if plain else None
    if order is not None and len(base) > 1 and merged not in (list(ours), list(theirs)):
        merged.sort(key=lambda element: order(element.key))
    return merged


def _check_beside(new: list[Element], old: list[Element], now: list[Element], _: bool) -> None:
    if len(old) != len(now) and now:
        raise Refused("arguments were added beside others that were replaced")


def _is_display(before: Sequence[Node], opening: str) -> bool:
    """Whether the brackets are a list, set, mapping or tuple by themselves."""
    return opening == "{" or not before or _is_operator(before[-1])


def _is_operator(node: Node) -> bool:
    return isinstance(node, Token) and (
        node.kind == "op" or node.text in ("return", "in", "import", "yield", "from", "else")
    )


def _is_name(node: Node) -> bool:
    return isinstance(node, Token) and node.kind in ("word", "string")


def _join_elements(
    ours: list[Element],
    theirs: list[Element],
    language: Language,
    before: Sequence[Node],
    opening: str,
) -> list[Element]:
    display = _is_display(before, opening)
    known = {element.key: element for element in ours}
    if len({*known, *(element.key for element in theirs)}) < max(len(ours), len(theirs)):
        raise Refused("one side added the same more than once")
    left = []
    keys = [element.key for element in (*ours, *theirs)]
    is_same = keys[: len(ours)] == keys[len(ours) :]
    for element in theirs:
        twin = known.get(element.key)
        if twin is not None and not is_same and may_be_command(keys):
            raise Refused("both sides added the same word to what may be a command")
        if twin is None:
            left.append(element)
        elif not display or not _is_unordered(element) or twin.source != element.source:
            raise Refused("both sides added the same argument")
    names = {name for element in ours if (name := name_element(element, language))}
    if any(name_element(element, language) in names for element in left):
        raise NameTwice("both sides added the same name")
    stars = [any(_begins_with(item, "*", "**", "...") for item in side) for side in (ours, left)]
    if opening == "{" and ours and left and any(stars):
        raise Refused("what is spread into a mapping may replace what the other side added")
    if not display and opening == "(" and language in (PYTHON, SCRIPT):
        by_place = [any(_is_positional(item, language) for item in side) for side in (ours, left)]
        if all(by_place) or all(stars):
            raise Refused("both sides added by position")
        if stars[0] or (by_place[1] and not stars[1]):
            return [*left, *ours]  # what counts by position comes first, a star last
    return [*ours, *left]


def _is_unordered(element: Element) -> bool:
    first = element.nodes[0]
    return isinstance(first, Token) and first.kind in ("word", "string")


def _begins_with(element: Element, *words: str) -> bool:
    return first_token(element.nodes).text in words


def _is_positional(element: Element, language: Language) -> bool:
    """Whether an argument has no name, or a parameter no default; JavaScript names no arguments."""
    named = any(isinstance(node, Token) and node.text == "=" for node in element.nodes)
    return not (named and language is PYTHON) and not _begins_with(element, "*", "**", "...")


def _check_twice(
    merged: Sequence[Element], versions: Sequence[Sequence[Element]], language: Language
) -> None:
    """Refuse a name or a string that stands more often than in any version."""
    check_numbers(*([element.nodes for element in side] for side in versions))
    keys = [[element.key for element in side] for side in (merged, *versions)]
    if find_surplus(keys[0], keys[1:], least=1) is not None:
        raise Refused("both sides added the same at two places")
    names = [
        [name for element in side if (name := name_element(element, language)) is not None]
        for side in (merged, *versions)
    ]
    name = find_surplus(names[0], names[1:], least=1)
    if name is not None:
        raise NameTwice(f"{name} would stand twice")


def lay_out_group(
    merged: list[Element], base: Group, ours: Group, theirs: Group, language: Language
) -> Group:
    """A group of these elements in the layout of the side that changed it."""
    style = ours if _is_tall(ours) != _is_tall(base) or not theirs.elements else theirs
    if _is_tall(theirs) == _is_tall(base):
        style = ours if ours.elements else theirs
    if not style.elements:
        style = next((group for group in (ours, theirs, base) if group.elements), style)
    tall = _is_tall(style)
    origins = {id(item): _is_tall(side) for side in (ours, theirs) for item in side.elements}
    between = _find_lead(style)
    found = []
    for at, element in enumerate(merged):
        lead = first_token(element.nodes).lead
        if not lead.strip():
            begin = first_token(style.elements[0].nodes).lead
            if at == 0:
                lead = begin
            elif origins.get(id(element), tall) != tall or not lead or lead == begin != between:
                lead = between
            element = replace(element, nodes=with_lead(element.nodes, lead))
        found.append(element)
    flags = [_ends_with_comma(group) for group in (base, ours, theirs)]
    if not base.elements:
        flags[0] = flags[2] if style is ours else flags[1]
    trailing = merge_flag(*flags) and language.kind is not Kind.JSON
    elements = tuple(
        _set_comma(element, at + 1 < len(found) or trailing) for at, element in enumerate(found)
    )
    opening = replace(
        ours.opening,
        lead=merge_white_space(base.opening.lead, ours.opening.lead, theirs.opening.lead),
        tail=merge_white_space(base.opening.tail, ours.opening.tail, theirs.opening.tail),
    )
    closing = replace(
        ours.closing,
        lead=merge_white_space(base.closing.lead, ours.closing.lead, theirs.closing.lead),
        tail=merge_white_space(base.closing.tail, ours.closing.tail, theirs.closing.tail),
    )
    return Group(opening, closing, elements)


def _is_tall(group: Group) -> bool:
    """Whether the elements stand in lines of their own."""
    leads = [first_token(element.nodes).lead for element in group.elements]
    return any("\n" in lead for lead in leads) or "\n" in group.closing.lead


def _find_lead(group: Group) -> str:
    """The white space between two elements."""
    leads = [first_token(element.nodes).lead for element in group.elements]
    if not _is_tall(group):
        return " "
    broken = ["\n" + lead.rpartition("\n")[2] for lead in leads if "\n" in lead]
    return Counter(broken).most_common(1)[0][0] if broken else " "


def _ends_with_comma(group: Group) -> bool:
    return bool(group.elements) and group.elements[-1].comma is not None


def _set_comma(element: Element, wanted: bool) -> Element:
    """The element with or without a comma; a comment at the end of its line stays there."""
    if wanted == (element.comma is not None):
        return element
    if element.comma is not None:
        return Element(_add_tail(element.nodes, element.comma.tail))
    tail = _last_token(element.nodes).tail
    return Element(_set_tail(element.nodes, ""), Token(",", tail=tail))


def _last_token(nodes: tuple[Node, ...]) -> Token:
    node = nodes[-1]
    return node if isinstance(node, Token) else node.closing


def _add_tail(nodes: tuple[Node, ...], tail: str) -> tuple[Node, ...]:
    return _set_tail(nodes, _last_token(nodes).tail + tail) if tail else nodes


def _set_tail(nodes: tuple[Node, ...], tail: str) -> tuple[Node, ...]:
    node = nodes[-1]
    if isinstance(node, Token):
        return (*nodes[:-1], replace(node, tail=tail))
    return (*nodes[:-1], replace(node, closing=replace(node.closing, tail=tail)))
