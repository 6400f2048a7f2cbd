"""Whether what both sides added to a switch, a match or an enumeration goes together: cases may
stand in either order, and no number is given twice."""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.landing.resolve.languages import GO, JAVA, RUST, Kind, Language
from orchestr.landing.resolve.names import take_before_group
from orchestr.landing.resolve.tree import Item, Node, Refused, Token, first_token, join_keys

_LEAVES = frozenset({"break", "return", "throw", "continue", "goto"})
# Signs and words of a label that is a condition: it may be true for another one's value, too.
_CONDITION = frozenset({"<", ">", "<=", ">=", "==", "!=", "&&", "||", "!", "...", "if", "when",
                        "where", "in", "is"})  # fmt: skip


def check_cases(ours: Sequence[Item], theirs: Sequence[Item], language: Language) -> None:
    """Refuse a case that catches everything or has a condition, of which the first that holds
    counts, and a last one that falls through to the next."""
    labels = [[find_label(item, language) for item in side] for side in (ours, theirs)]
    for label in (label for side in labels for label in side if label):
        if _may_catch_others(label, language):
            raise Refused("the order of the cases that both sides added may count")
    variants = [{join_keys(take_before_group(label)) for label in side if label} for side in labels]
    if variants[0] & variants[1]:
        raise Refused("both sides added cases of one variant")
    for items in (ours, theirs):
        _check_end(items, language)


def find_label(item: Item, language: Language) -> tuple[Node, ...]:
    """What a case is chosen by; nothing for any other item."""
    first = first_token(item.head).text
    ends: tuple[str, ...] = (":", "->", "=>")
    if first not in ("case", "default"):
        if language not in (RUST, JAVA):
            return ()
        ends = ("=>",) if language is RUST else ("->",)
    for at, node in enumerate(item.head):
        if isinstance(node, Token) and node.text in ends:
            return item.head[:at]
    return ()


def _may_catch_others(label: Sequence[Node], language: Language) -> bool:
    words = [node.text if isinstance(node, Token) else "" for node in label]
    if words[0] in ("default", "else") or words[-1] == "_":
        return True
    sends = {at for at in range(len(words) - 1) if words[at : at + 2] == ["<", "-"]}  # a channel's
    if any(word in _CONDITION and at not in sends for at, word in enumerate(words)):
        return True
    if any(words[at : at + 2] == [".", "."] for at in range(len(words) - 1)):
        return True  # a range
    if language is RUST:
        return any(word == "@" for word in words) or (len(words) == 1 and words[0][:1].islower())
    kinds = [node.kind if isinstance(node, Token) else "group" for node in label]
    typed = any(kinds[at : at + 2] == ["word", "word"] for at in range(1, len(kinds) - 1))
    return typed or (language is GO and "group" in kinds and not sends)


def _check_end(items: Sequence[Item], language: Language) -> None:
    last = items[-1]
    is_label = first_token(last.head).text == "case" and last.head[-1].key == ":"
    if not is_label or language.kind is not Kind.BRACED or language is GO:
        return
    end = last.body.items[-1] if last.body and last.body.items else last
    if first_token(end.head).text not in _LEAVES:
        raise Refused("a case that falls through to the next one")


def check_numbers(
    base: Sequence[Sequence[Node]], ours: Sequence[Sequence[Node]], theirs: Sequence[Sequence[Node]]
) -> None:
    """Refuse the same next number for two new members of what is numbered: the fields of a message,
    an enumeration's members, error codes. Each member is its nodes, as ``NAME = NUMBER``."""
    old, mine, other = (
        dict(filter(None, map(_read_number, side))) for side in (base, ours, theirs)
    )
    numbers = list(old.values())
    if not numbers or len(set(numbers)) < len(numbers):
        return
    new = [
        {number: name for name, number in side.items() if name not in old} for side in (mine, other)
    ]
    for number in new[0].keys() & new[1].keys():
        if number > max(numbers) and new[0][number] != new[1][number]:
            raise Refused(f"both sides gave the number {number}")


def _read_number(nodes: Sequence[Node]) -> tuple[str, int] | None:
    words = [node.text if isinstance(node, Token) else "" for node in nodes]
    words = words[:-1] if words and words[-1] == ";" else words
    while words[:1] == [""]:
        del words[0]
    if "=" not in words[1:] or words.index("=") + 2 > len(words):
        return None
    at = words.index("=")
    # behind the number there may be options in brackets, as in a message
    if not words[at + 1].isdecimal() or any(words[at + 2 :]):
        return None
    return words[at - 1], int(words[at + 1])
