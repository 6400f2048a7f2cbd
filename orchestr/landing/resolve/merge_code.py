"""The three-way merge of trees of code, JSON and TOML.

Parts are matched by what they are and by name, not by line. What one side alone changed is taken;
what both added at one place stays, ours first, when nothing depends on the order and no name is
twice; everything else is refused.
"""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from keyword import kwlist

from orchestr.landing.resolve.cases import check_cases, check_numbers
from orchestr.landing.resolve.definitions import find_surplus
from orchestr.landing.resolve.effects import are_independent
from orchestr.landing.resolve.groups import lay_out_group, merge_elements
from orchestr.landing.resolve.languages import GO, PYTHON, Kind, Language
from orchestr.landing.resolve.names import KEYWORDS, Sort, classify_item, decorators_of
from orchestr.landing.resolve.order import sort_imports, union_imports
from orchestr.landing.resolve.prose import check_shared_prose, join_prose, tighten_entries
from orchestr.landing.resolve.python_parts import (
    is_docstring,
    is_from_import,
    merge_docstrings,
    merge_from_imports,
)
from orchestr.landing.resolve.sequence import (
    SequenceRules,
    match_members,
    merge_sequences,
    shorten_key,
)
from orchestr.landing.resolve.tree import (
    Block,
    Group,
    Item,
    NameTwice,
    Node,
    Refused,
    Token,
    iterate_tokens,
    join_keys,
    join_sources,
    move_item,
)
from orchestr.landing.resolve.trivia import merge_white_space


class Scope(Enum):
    """Where items stand: it says whether their order counts."""

    MODULE = "module"
    TYPE = "type"
    FUNCTION = "function"
    IMPORTS = "imports"
    DATA = "data"
    PROSE = "prose"


_TYPES = frozenset(
    {
        "class", "interface", "struct", "enum", "trait", "impl", "record", "union", "extension",
        "message", "service", "object",
    }
)  # fmt: skip
_SAME_NAME = frozenset({"overload", "getter", "setter", "deleter", "register"})
_COMMON_WORDS = frozenset({*kwlist, *dir(builtins), "self", "cls", "this", *KEYWORDS})
_EMPTY = Block()
_LOOSE = (Scope.DATA, Scope.PROSE)  # no order that counts, and nothing is run
Nodes = tuple[Node, ...]


@dataclass(frozen=True)
class TreeMerge:
    """How trees of one language are merged; the words are those of each side's file. With
    ``any_order``, ours stays first of what both sides added also where the order may count.
    """

    language: Language
    our_words: frozenset[str] = frozenset()
    their_words: frozenset[str] = frozenset()
    any_order: bool = False

    def merge_blocks(self, base: Block, ours: Block, theirs: Block, scope: Scope) -> Block:
        """Both sides' edits of a sequence of items. Raises Refused."""
        rules = SequenceRules[Item](
            identify=lambda item: self._identify_item(item, scope),
            merge=lambda old, mine, other: self._merge_item(old, mine, other, scope),
            same=_is_same,
            join=lambda mine, other: self._join_items(mine, other, scope),
            check_beside=lambda new, old, now, behind: _check_beside(new, old, now, behind, scope),
        )
        items = merge_sequences(base.items, ours.items, theirs.items, rules)
        if scope is Scope.PROSE:
            items = tighten_entries(list(items), (base, ours, theirs))
        if scope is Scope.IMPORTS:
            items = sort_imports(items, (base, ours, theirs))
        self._check_names(items, (base, ours, theirs), scope)
        return Block(tuple(items), merge_white_space(base.tail, ours.tail, theirs.tail))

    # --- items -----------------------------------------------------------------------------

    def _classify(self, item: Item, scope: Scope) -> tuple[Sort, str | None]:
        sort, name = classify_item(item, self.language)
        return (Sort.IMPORT, name) if scope is Scope.IMPORTS else (sort, name)

    def _identify_item(self, item: Item, scope: Scope) -> str | None:
        sort, name = self._classify(item, scope)
        if name is None or self.language is not PYTHON or sort is not Sort.DEFINITION:
            return f"{sort.value} {name}" if name else None
        # overloads and the setter of a property have the name of what they belong to
        before = {token.text for node in decorators_of(item.head) for token in iterate_tokens(node)}
        return f"{sort.value} {name} {sorted(before & _SAME_NAME)}"

    def _merge_item(self, base: Item, ours: Item, theirs: Item, scope: Scope) -> Item:
        if theirs.source in (ours.source, base.source):
            return ours
        if ours.source == base.source:
            return theirs
        inner = self._find_scope(base, scope)
        if self.language is PYTHON and all(
            is_from_import(item.head) for item in (base, ours, theirs)
        ):
            head = merge_from_imports(base.head, ours.head, theirs.head)
        else:
            head = self._merge_nodes(base.head, ours.head, theirs.head, inner)
        end = merge_white_space(base.end, ours.end, theirs.end)
        return Item(head, end, self._merge_bodies(base.body, ours.body, theirs.body, inner))

    def _merge_bodies(
        self, base: Block | None, ours: Block | None, theirs: Block | None, scope: Scope
    ) -> Block | None:
        sources = [body.source if body else None for body in (base, ours, theirs)]
        if sources[1] == sources[2] or sources[2] == sources[0]:
            return ours
        if sources[1] == sources[0]:
            return theirs
        if not ours or not theirs:
            raise Refused("one side took away what the other changed")
        return self.merge_blocks(base or _EMPTY, ours, theirs, scope)

    def _find_scope(self, item: Item, outer: Scope) -> Scope:
        if outer in _LOOSE:
            return outer
        sort, _ = classify_item(item, self.language)
        words = [node.text for node in item.head if isinstance(node, Token)]
        if sort is Sort.IMPORT or words[:1] == ["import"]:
            return Scope.IMPORTS
        if sort is Sort.DEFINITION:
            if words and _TYPES & set(words):
                return Scope.TYPE
            return Scope.MODULE if {"mod", "namespace", "module"} & set(words) else Scope.FUNCTION
        if self.language.kind is Kind.INDENTED:
            return outer
        is_list = len(item.head) == 2 and words in (["const"], ["var"], ["type"])
        return Scope.TYPE if is_list else Scope.FUNCTION

    def _join_items(self, ours: list[Item], theirs: list[Item], scope: Scope) -> list[Item]:
        """What both sides added at one place. Raises Refused."""
        if any(not item.end.endswith("\n") for item in (*ours, *theirs)):
            raise Refused("both sides added to one line")
        labels = [[self._label_item(item, scope) for item in items] for items in (ours, theirs)]
        shared = set(labels[0]) & set(labels[1])
        if any(count > 1 and label in shared for side in labels
               for label, count in Counter(side).items()):  # fmt: skip
            raise Refused("both sides added the same, one of them more than once")
        if scope is Scope.PROSE and labels[0] != labels[1]:
            check_shared_prose([item for item in theirs if self._label_item(item, scope) in shared])
        joined: list[Item] = []
        own_first = first = 0
        for at in range(len(theirs)):
            if labels[1][at] not in shared:
                continue
            twin = labels[0].index(labels[1][at])
            if twin < own_first:
                raise Refused("both sides added the same in another order")
            joined += self._order_joined(ours[own_first:twin], theirs[first:at], scope)
            joined.append(self._merge_twins(ours[twin], theirs[at], scope))
            own_first, first = twin + 1, at + 1
        return [*joined, *self._order_joined(ours[own_first:], theirs[first:], scope)]

    def _label_item(self, item: Item, scope: Scope) -> str:
        """What both sides must not add in two ways: a name, else the whole item."""
        sort, name = self._classify(item, scope)
        return name if name and sort is not Sort.STATEMENT else item.key

    def _merge_twins(self, ours: Item, theirs: Item, scope: Scope) -> Item:
        """What both sides added: the same once, and one name for imports and tables of data."""
        if ours.key == theirs.key and _is_same(ours, theirs):
            if self._classify(ours, scope)[0] is Sort.STATEMENT and scope not in _LOOSE:
                raise Refused("both sides added the same statement")
            return ours
        if self.language is PYTHON and is_from_import(ours.head) and is_from_import(theirs.head):
            return replace(ours, head=merge_from_imports(None, ours.head, theirs.head))
        same = join_keys(ours.head) == join_keys(theirs.head)
        if scope in _LOOSE and same and ours.body is not None and theirs.body is not None:
            return replace(ours, body=self.merge_blocks(_EMPTY, ours.body, theirs.body, scope))
        raise NameTwice("both sides added the same name")

    def _order_joined(self, ours: list[Item], theirs: list[Item], scope: Scope) -> list[Item]:
        if not ours or not theirs:
            return [*ours, *theirs]
        if scope in _LOOSE:
            return join_prose(ours, theirs) if scope is Scope.PROSE else [*ours, *theirs]
        own_imports = self._count_imports(ours, scope)
        imports = self._count_imports(theirs, scope)
        if own_imports and imports:
            united = union_imports(ours[:own_imports], theirs[:imports])
            own_rest, rest = ours[own_imports:], theirs[imports:]
            if own_rest and rest:
                return [*united, *self._order_joined(own_rest, rest, scope)]
            return [*united, *own_rest, *rest]
        if imports:
            return self._order_joined_rest(theirs, ours, scope)
        return self._order_joined_rest(ours, theirs, scope)

    def _count_imports(self, items: list[Item], scope: Scope) -> int:
        count = 0
        while count < len(items) and self._classify(items[count], scope)[0] is Sort.IMPORT:
            count += 1
        return count

    def _order_joined_rest(self, ours: list[Item], theirs: list[Item], scope: Scope) -> list[Item]:
        own_loose = [item for item in ours if self._is_loose(item, scope)]
        loose = [item for item in theirs if self._is_loose(item, scope)]
        if self.language is PYTHON and (own_loose or loose):
            own_loose, loose = ours, theirs  # a decorator, a class's body are run where they stand
        if (
            not self.any_order
            and own_loose
            and loose
            and not are_independent(
                own_loose, loose, self.our_words, self.their_words, self.language
            )
        ):
            shown = shorten_key(own_loose[0])
            raise Refused(f"the order of what both sides added may count: {shown}")
        check_cases(ours, theirs, self.language)
        first = theirs[0]
        if _is_tall(ours[-1]) and _is_tall(first) and "\n" not in first.lead:
            lead = next((item.lead for item in theirs[1:] if "\n" in item.lead), "\n" + first.lead)
            first = move_item(first, lead if not lead.strip() else "\n" + first.lead)
        return [*ours, first, *theirs[1:]]

    def _is_loose(self, item: Item, scope: Scope) -> bool:
        """Whether it runs where it stands, so that its place may count."""
        sort, name = self._classify(item, scope)
        if sort is Sort.VALUE and scope is Scope.TYPE:
            return self.language.kind is Kind.INDENTED
        if scope is Scope.MODULE and self.language is GO and sort is not Sort.STATEMENT:
            return False
        return sort in (Sort.STATEMENT, Sort.VALUE) or name is None

    def _check_names(self, merged: Sequence[Item], versions: Sequence[Block], scope: Scope) -> None:
        """Refuse a definition that stands more often than in any version."""
        if scope is Scope.TYPE:
            check_numbers(*([item.head for item in block.items] for block in versions))
        if scope is Scope.FUNCTION and self.language not in (PYTHON, GO):
            self._check_locals(merged, versions)
        known = [self._list_names(block.items, scope) for block in versions]
        name = find_surplus(self._list_names(merged, scope), known)
        if name is not None:
            raise NameTwice(f"{name} would be defined twice")
        texts = [[item.key for item in block.items] for block in versions]
        if find_surplus([item.key for item in merged], texts, least=1) is not None:
            raise Refused("both sides added the same at two places")

    def _check_locals(self, merged: Sequence[Item], versions: Sequence[Block]) -> None:
        """Refuse a new name that both sides assign, each for itself."""
        found, base, ours, theirs = (
            [
                name for sort, name in (classify_item(item, self.language) for item in items)
                if name and sort is Sort.VALUE
            ]
            for items in (merged, *(block.items for block in versions))
        )  # fmt: skip
        name = find_surplus((name for name in found if name not in base), (ours, theirs))
        if name is not None:
            raise NameTwice(f"both sides give {name} a meaning")

    def _list_names(self, items: Sequence[Item], scope: Scope) -> list[str]:
        found = [self._classify(item, scope) for item in items]
        allowed = {Sort.STATEMENT}
        if scope is Scope.FUNCTION:
            allowed.add(Sort.VALUE)
        if self.language is PYTHON:  # bindings of names: see `verify_merge`
            allowed.add(Sort.IMPORT)  # the same import twice does no harm there
        return [name for sort, name in found if name and sort not in allowed]

    # --- heads -----------------------------------------------------------------------------

    def _merge_nodes(self, base: Nodes, ours: Nodes, theirs: Nodes, scope: Scope) -> Nodes:
        sources = [join_sources(nodes) for nodes in (base, ours, theirs)]
        if sources[1] == sources[2] or sources[2] == sources[0]:
            return ours
        if sources[1] == sources[0]:
            return theirs
        if self.language is PYTHON and all(map(is_docstring, (base, ours, theirs))):
            return merge_docstrings(base, ours, theirs)
        if join_keys(ours) != join_keys(base) != join_keys(theirs):
            self._check_skeleton(base, ours, theirs)
        position = {id(node): at for at, node in enumerate(base)}

        def merge_one(old: Node, mine: Node, other: Node) -> Node:
            if isinstance(old, Token) and isinstance(mine, Token) and isinstance(other, Token):
                if mine.text not in (old.text, other.text) and other.text != old.text:
                    raise Refused("both sides changed the same words")
                return replace(
                    mine if mine.text != old.text else other,
                    lead=merge_white_space(old.lead, mine.lead, other.lead),
                    tail=merge_white_space(old.tail, mine.tail, other.tail),
                )
            if isinstance(old, Group) and isinstance(mine, Group) and isinstance(other, Group):
                before = base[: position[id(old)]]
                return self._merge_groups(old, mine, other, scope, before)
            raise Refused("not the same shape")

        def refuse(*_: object) -> list[Node]:
            raise Refused("both sides changed the same line")

        rules = SequenceRules[Node](
            identify=_identify_node,
            merge=merge_one,
            same=_is_same,
            join=refuse,
        )
        return tuple(merge_sequences(base, ours, theirs, rules))

    def _check_skeleton(self, base: Nodes, ours: Nodes, theirs: Nodes) -> None:
        """Refuse a line of which both sides changed more than what stands in brackets."""
        changed = []
        for side in (ours, theirs):
            pairs = match_members(base, side, _identify_node)
            changed.append(len(pairs) != len(base) or len(pairs) != len(side))
        if all(changed) and join_keys(ours) != join_keys(theirs):
            raise Refused("both sides changed the same line")

    def _merge_groups(
        self, base: Group, ours: Group, theirs: Group, scope: Scope, before: Nodes
    ) -> Group:
        if theirs.source in (ours.source, base.source):
            return ours
        if ours.source == base.source:
            return theirs
        if any(group.block for group in (base, ours, theirs)):
            blocks = [
                group.block or (None if group.elements else _EMPTY)
                for group in (base, ours, theirs)
            ]
            if blocks[0] is None or blocks[1] is None or blocks[2] is None:
                raise Refused("not the same shape")
            block = self.merge_blocks(blocks[0], blocks[1], blocks[2], scope)
            merged = lay_out_group([], base, ours, theirs, self.language)
            return replace(merged, block=block)
        inner = scope if scope in _LOOSE else Scope.FUNCTION
        elements = merge_elements(
            base.elements,
            ours.elements,
            theirs.elements,
            language=self.language,
            before=before,
            opening=base.opening.text,
            merge_nodes=lambda old, mine, other: self._merge_nodes(old, mine, other, inner),
        )
        return lay_out_group(elements, base, ours, theirs, self.language)


def _identify_node(node: Node) -> str | None:
    return node.opening.text if isinstance(node, Group) else None


def _is_same(old: Item | Node, new: Item | Node) -> bool:
    """Whether only white space differs, comments included."""
    return "".join(old.source.split()) == "".join(new.source.split())


def _is_tall(item: Item) -> bool:
    return "\n" in item.source.strip()


def _check_beside(
    new: list[Item], old: list[Item], now: list[Item], behind: bool, scope: Scope
) -> None:
    """Refuse an addition that uses what its neighbour lost, or that may never be reached."""
    if scope in (Scope.IMPORTS, *_LOOSE):
        return
    used, lost, kept = (
        {token.text for item in items for token in iterate_tokens(item) if token.kind == "word"}
        for items in (new, old, now)
    )
    if (used & (lost - kept)) - _COMMON_WORDS:
        raise Refused("an addition uses a name that the other side took away")
    leaves = {"return", "break", "continue", "raise", "throw", "goto"} & (kept - lost)
    if behind and scope is Scope.FUNCTION and leaves:
        raise Refused("an addition may not be reached any more")
