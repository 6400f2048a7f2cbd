"""What other packages bring: found by name, and named where it cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

import orchestr
from orchestr.errors import OrchestrError
from orchestr.registry import Registry
from orchestr.settings.kinds import AgentKind
from tests.plugins.packages import install_package

GOOD = "from orchestr.settings.kinds import AgentKind\nKIND = AgentKind(object)\n"
GROUP = "orchestr.agents"


def make_registry() -> Registry[AgentKind]:
    return Registry(
        "agent kind",
        group=GROUP,
        package="orchestr.agents.kinds",
        attribute=lambda _: "KIND",
        accepts=lambda value: isinstance(value, AgentKind),
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of this process."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def add(site: Path, name: str, module: str, text: str, **more: object) -> None:
    points = {GROUP: {"toy": f"{module}:KIND"}}
    install_package(site, name, points, {module: text}, **more)  # type: ignore[arg-type]


def test_a_kind_is_found_and_loaded(site: Path) -> None:
    wants = ["orchestr>=0.0.1", "orchestr-tools>=9", 'orchestr>=99; python_version < "3"']
    add(site, "pkg-good", "plug_good", GOOD, requires=wants)
    registry = make_registry()
    assert registry.knows("toy") and registry.foreign_names == ("toy",)
    assert isinstance(registry.load("toy"), AgentKind)


@pytest.mark.parametrize(
    ("module", "text", "requires", "why"),
    [
        ("plug_a", "import no_such_thing\n", (), "No module named 'no_such_thing'"),
        ("plug_b", "raise SystemExit(3)\n", (), "SystemExit: 3"),
        ("plug_c", "KINDS = 1\n", (), "has no attribute 'KIND'"),
        ("plug_d", "KIND = 7\n", (), "it is an object of type int, and no such declaration"),
        ("plug_e", "from orchestr.settings.kinds import AgentKind\nKIND = AgentKind(1, old=2)\n",
         (), "unexpected keyword argument 'old'"),
        ("plug_f", "raise AssertionError('imported')\n", ["orchestr (>=99)"],
         f"it needs orchestr >=99, and this is {orchestr.__version__}"),
    ],
)  # fmt: skip
def test_a_broken_package_is_named_where_its_kind_is_used(
    site: Path, module: str, text: str, requires: list[str], why: str
) -> None:
    add(site, "pkg-bad", module, text, requires=requires)
    registry = make_registry()
    assert "toy" in registry.names()  # listing imports nothing
    assert registry.load("claude").provider
    with pytest.raises(OrchestrError) as caught:
        registry.load("toy")
    assert f"the agent kind 'toy' ({module}:KIND) cannot be loaded: " in caught.value.message
    assert why in caught.value.message
    assert caught.value.hint == "repair or uninstall the package pkg-bad"


def test_two_packages_of_one_name_are_both_named(site: Path) -> None:
    add(site, "pkg-one", "plug_one", GOOD)
    add(site, "pkg-two", "plug_two", GOOD)
    with pytest.raises(OrchestrError) as caught:
        make_registry().load("toy")
    assert (
        "several packages declare it: pkg-one (plug_one:KIND) and pkg-two (plug_two:KIND)"
        in caught.value.message
    )


def test_a_name_of_ours_stays_ours(site: Path) -> None:
    points = {GROUP: {"claude": "plug_thief:KIND"}}
    install_package(site, "pkg-thief", points, {"plug_thief": "raise RuntimeError\n"})
    registry = make_registry()
    assert registry.foreign_names == ()
    assert registry.load("claude").provider == "anthropic"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def make(*_): return None\n", "an object of type NoneType lacks close"),
        ("def make(*_): return 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def make(*_): raise SystemExit(2)\n", "SystemExit: 2"),
    ],
)
def test_what_a_kind_makes_is_what_it_should_be(site: Path, text: str, why: str) -> None:
    class Door(Protocol):
        def close(self) -> None: ...

    kind = "from orchestr.settings.kinds import AgentKind\nKIND = AgentKind(make)\n"
    add(site, "pkg-makes", f"plug_makes_{len(why)}", text + kind)
    registry = make_registry()
    make = registry.load("toy").make
    with pytest.raises(OrchestrError, match=f"agent kind 'toy' .* cannot be made: {why}") as caught:
        registry.make_adapter("toy", make, Door)
    assert caught.value.hint == "repair or uninstall the package pkg-makes"
