"""`shop`: Python with unittest, and twelve patches of it.

Three add a function, its import, its test and a line of the changelog, each at the same places;
two add a method at the end of the same class; one adds nothing near another's. Two give a function
of the same name another body, two change the same parameters, and two are red together: one renames
what the other begins to use.
"""

from __future__ import annotations

from benchmarks.cooperbench.synthetic_words import CHANGELOG, Edit, Made, add_change

PRICES = '''\
"""Prices are whole cents."""

import math

RATES = {
    "standard": 20,
    "zero": 0,
}


def add_tax(cents, rate="standard"):
    """The price with its tax."""
    return cents + math.ceil(cents * RATES[rate] / 100)


def format_price(cents):
    """As customers read it."""
    return f"{cents // 100}.{cents % 100:02d}"


def is_free(cents):
    """Whether nothing is to be paid."""
    return cents == 0
'''
CART = '''\
"""A cart."""

from shop.prices import add_tax


class Cart:
    """Lines of a name, a price and a count."""

    def __init__(self):
        self.lines = []

    def add(self, name, cents, count=1):
        """One more line."""
        self.lines.append((name, cents, count))

    def total(self):
        """What is to be paid."""
        return sum(add_tax(cents) * count for _, cents, count in self.lines)
'''
TEXT = '''\
"""Names as addresses."""


def slug(name):
    """Small letters and hyphens."""
    return name.lower().replace(" ", "-")
'''
HEAD = """\
import unittest

from shop import {module}
"""
TEST = """

class Test{name}(unittest.TestCase):
    def test_it(self):
        {line}
"""


def _test(module: str, name: str, line: str) -> Edit:
    return Edit(f"tests/test_{module}.py", TEST.format(name=name, line=line))


def _new_test(file: str, module: str, name: str, line: str) -> Edit:
    """A new file with the first test of a module, or of a part of it."""
    return Edit(
        f"tests/test_{file}.py", HEAD.format(module=module) + TEST.format(name=name, line=line)
    )


def _parameter(value: str, before: str, after: str, test: Edit) -> tuple[Edit, ...]:
    """Another parameter of `format_price`, and what its result is then made of."""
    return (
        Edit("shop/prices.py", f"def format_price(cents, {value}):", FORMAT),
        Edit("shop/prices.py", FORMATTED.replace(before, after), FORMATTED),
        test,
    )


def _function(name: str, body: str, line: str, imports: str = "") -> tuple[Edit, ...]:
    """A new function at the end of prices.py with its test, import and changelog."""
    edits = [
        Edit("shop/prices.py", f'\n\ndef {name}:\n    """New."""\n    return {body}\n'),
        _test("prices", "".join(w.title() for w in name.partition("(")[0].split("_")), line),
        add_change(f"`{name.partition('(')[0]}`."),
    ]
    if imports:
        edits.append(Edit("shop/prices.py", f"import math\n{imports}\n", "import math\n"))
    return tuple(edits)


def _method(name: str, body: str, line: str) -> tuple[Edit, ...]:
    """A new method at the end of the class."""
    return (
        Edit(
            "shop/cart.py", f'\n    def {name}(self):\n        """New."""\n        return {body}\n'
        ),
        _test(
            "cart",
            f"Cart{name.title()}",
            f"c = cart.Cart()\n        c.add('a', 5, 2)\n        {line}",
        ),
    )


FORMAT, FORMATTED = "def format_price(cents):", 'return f"{cents // 100}.{cents % 100:02d}"'
SHOP = Made(
    files={
        "README.md": "# shop\n",
        "CHANGELOG.md": CHANGELOG,
        "shop/__init__.py": "",
        "shop/prices.py": PRICES,
        "shop/cart.py": CART,
        "shop/text.py": TEXT,
        "tests/__init__.py": "",
        "tests/test_prices.py": HEAD.format(module="prices")
        + TEST.format(name="Tax", line="self.assertEqual(prices.add_tax(101), 122)")
        + TEST.format(name="Format", line='self.assertEqual(prices.format_price(1205), "12.05")'),
        "tests/test_cart.py": HEAD.format(module="cart")
        + TEST.format(name="Empty", line="self.assertEqual(cart.Cart().total(), 0)"),
        "tests/test_text.py": HEAD.format(module="text")
        + TEST.format(name="Slug", line='self.assertEqual(text.slug("A B"), "a-b")'),
    },
    patches={
        "shipping": _function(
            "shipping_cost(grams)", "400 if grams > 1000 else 200",
            "self.assertEqual(prices.shipping_cost(1200), 400)",
        ),
        "discount": _function(
            "apply_discount(cents, percent)", "cents - cents * percent // 100",
            "self.assertEqual(prices.apply_discount(200, 10), 180)",
        ),
        "convert": _function(
            "convert(cents, rate)", "int(cents * Fraction(rate))",
            'self.assertEqual(prices.convert(200, "11/10"), 220)',
            "from fractions import Fraction",
        ),
        "round-down": _function(
            "round_price(cents)", "int(decimal.Decimal(cents) // 5 * 5)",
            "self.assertEqual(prices.round_price(13), 10)", "import decimal",
        ),
        "reduced-rate": (
            Edit("shop/prices.py", '    "reduced": 5,\n    "standard": 20,', '    "standard": 20,'),
            _new_test("rates", "prices", "Reduced",
                      'self.assertEqual(prices.add_tax(100, "reduced"), 105)'),
        ),
        "round-up": _function(
            "round_price(cents)", "-(-cents // 10) * 10",
            "self.assertEqual(prices.round_price(13), 20)",
        ),
        "count": _method(
            "count", "sum(count for _, _, count in self.lines)", "self.assertEqual(c.count(), 2)"
        ),
        "names": _method(
            "names", "[name for name, _, _ in self.lines]", 'self.assertEqual(c.names(), ["a"])'
        ),
        "symbol": _parameter(
            'symbol=""', 'f"', 'symbol + f"',
            _new_test("symbol", "prices", "Symbol",
                      'self.assertEqual(prices.format_price(5, "$"), "$0.05")'),
        ),
        "separator": _parameter(
            'mark="."', "}.{", "}{mark}{",
            _new_test("mark", "prices", "Mark",
                      'self.assertEqual(prices.format_price(5, ","), "0,05")'),
        ),
        "rename": (
            Edit("shop/text.py", "def slugify(name):", "def slug(name):"),
            Edit("tests/test_text.py", "text.slugify(", "text.slug("),
        ),
        "links": (
            Edit("shop/links.py", "from shop.text import slug\n\n\n"
                 'def link(name):\n    """Where it is."""\n    return "/" + slug(name)\n'),
            _new_test("links", "links", "Link", 'self.assertEqual(links.link("A B"), "/a-b")'),
        ),
    },
    check="PYTHON -B -m unittest discover -q -s tests -t .",
)  # fmt: skip
