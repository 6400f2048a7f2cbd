"""What a feature is for: the product that it makes, the product's structure, in a strict form.

Declared with the words of `orchestr.spec.declare`, as `orchestr.spec.records`. Nothing here makes a
phase run again: these fields are for agents, who read them, and for what judges the whole.
"""
# Types are real objects here, not texts: a warm start reads them without compiling each.

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from orchestr.spec import fields
from orchestr.spec.check_field_types import wrap_single_text
from orchestr.spec.declare import Doc, Rule, TextItems
from orchestr.spec.field_types import BadValue, quote_value


class Product(StrEnum):
    """What kind of thing the feature makes, or changes."""

    WEBAPP = "webapp"
    CLI = "cli"
    LIBRARY = "library"
    API = "api"
    SERVICE = "service"


class Method(StrEnum):
    """How an endpoint is asked."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"


# The fields of `structure` that each product has; all of them are needed.
PARTS: dict[Product, tuple[str, ...]] = {
    Product.WEBAPP: ("routes",),
    Product.CLI: ("entrypoint", "commands"),
    Product.LIBRARY: ("functions",),
    Product.API: ("endpoints",),
    Product.SERVICE: ("endpoints",),
}

_A_TEXT = {"type": "string"}
_ONE_OR_MORE = {"anyOf": [_A_TEXT, {"type": "array", "items": _A_TEXT}]}
Statements = Annotated[
    tuple[fields.Text, ...],
    TextItems(),
    Rule(wrap_single_text, raw=True, schema=_ONE_OR_MORE),
]


@dataclass(frozen=True, slots=True)
class Route:
    """A page of a web application."""

    path: Annotated[fields.UrlPath, Doc("as a browser asks for it", "/login")]
    text: Annotated[
        tuple[fields.Line, ...], TextItems(), Doc("texts that are on the page", ["Sign in"])
    ] = ()


@dataclass(frozen=True, slots=True)
class CliCommand:
    """A command of a program."""

    name: Annotated[fields.Line, Doc("the words behind the entrypoint", "keys list")]
    does: Annotated[fields.Line | None, Doc("what it does", "prints the keys")] = None


@dataclass(frozen=True, slots=True)
class PublicFunction:
    """A public function of a library."""

    name: Annotated[fields.Line, Doc("as its users write it", "keys.wrap")]
    does: Annotated[fields.Line | None, Doc("what it does", "wraps a key with ML-KEM-768")] = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A request that a server answers."""

    path: Annotated[fields.UrlPath, Doc("of the request", "/keys/{id}")]
    method: Annotated[Method, Doc("of the request", "POST")] = Method.GET
    status: Annotated[fields.Status | None, Doc("of the answer when all is well", 201)] = None
    does: Annotated[fields.Line | None, Doc("what it does", "makes a key")] = None


@dataclass(frozen=True, slots=True)
class Structure:
    """What of the product can be seen from outside. Which fields it has follows from `product`."""

    routes: Annotated[
        tuple[Route, ...], Doc("of a webapp: its pages", [{"path": "/login", "text": ["Sign in"]}])
    ] = ()
    entrypoint: Annotated[
        fields.Line | None, Doc("of a cli: how it is started", "python -m keys")
    ] = None
    commands: Annotated[
        tuple[CliCommand, ...], Doc("of a cli: its commands", [{"name": "keys list"}])
    ] = ()
    functions: Annotated[
        tuple[PublicFunction, ...],
        Doc("of a library: its public functions", [{"name": "keys.wrap"}]),
    ] = ()
    endpoints: Annotated[
        tuple[Endpoint, ...],
        Doc("of an api or a service: its requests", [{"path": "/keys", "method": "POST"}]),
    ] = ()

    @classmethod
    def complete_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Refuse what stands there twice. Raises BadValue."""
        _refuse_repeats("routes", ((r.path, r.path) for r in given.get("routes", ())))
        for word in ("commands", "functions"):
            _refuse_repeats(word, ((one.name, one.name) for one in given.get(word, ())))
        asked = ((f"{e.method} {e.path}", (e.method, e.path)) for e in given.get("endpoints", ()))
        _refuse_repeats("endpoints", asked)
        return given


def _refuse_repeats(field: str, keys: Iterable[tuple[str, Hashable]]) -> None:
    seen: set[Hashable] = set()
    for shown, key in keys:
        if key in seen:
            raise BadValue(f"{quote_value(shown)} is there twice", "remove one", field=(field,))
        seen.add(key)
