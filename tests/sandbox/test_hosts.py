"""Rules made of settings, known hosts and the environment."""

from __future__ import annotations

import pytest

from orchestr.errors import UsageError
from orchestr.sandbox.hosts import (
    AGENT_HOSTS,
    FORGE_HOSTS,
    PACKAGE_HOSTS,
    explain_unusable_proxy,
    find_forwarded_ports,
    format_rules,
    read_base_url_rules,
    read_package_url_rules,
    read_proxy_url,
    read_url_rule,
)
from orchestr.sandbox.network_rules import parse_network_rules


def test_known_hosts_are_rules_that_are_read_and_no_forges() -> None:
    known = [
        host for table in (AGENT_HOSTS, PACKAGE_HOSTS) for hosts in table.values() for host in hosts
    ]
    text = format_rules([], known, denied=[], setting="network", environ={})
    rules = parse_network_rules(text)
    assert {rule.host for rule in rules.allow} == set(known)
    assert all(rules.explain_refusal(host, 443) is None for host in known)
    assert all(rules.explain_refusal(host, 443) is not None for host in FORGE_HOSTS)


def test_only_a_setting_lets_a_forge_through() -> None:
    text = format_rules(
        ["*.corp.example", "api.github.com"],
        ["gitlab.com:443", "git.corp.example:443", "api.openai.com"],
        denied=["git.corp.example", "odd host"],
        setting="[agents.codex]\nnetwork",
        environ={},
    )
    rules = parse_network_rules(text)
    allowed = [
        host
        for host in ("a.corp.example", "api.github.com", "github.com", "gitlab.com",
                     "git.corp.example", "api.openai.com")
        if rules.explain_refusal(host, 443) is None
    ]  # fmt: skip
    assert allowed == ["a.corp.example", "api.github.com", "api.openai.com"]
    assert rules.setting == "[agents.codex] network"


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://127.0.0.1:8080/v1", "127.0.0.1:8080"),
        ("http://localhost:11434", "localhost:11434"),
        ("127.0.0.1:11434", "127.0.0.1:11434"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://Gateway.Corp.example/anthropic", "gateway.corp.example:443"),
        ("https://user:secret@registry.corp.example:8443/npm/", "registry.corp.example:8443"),
        ("sparse+https://index.corp.example/", "index.corp.example:443"),
        ("corp=https://uv.corp.example/simple", "uv.corp.example:443"),
        ("direct", None),
        ("ftp://x.org", None),
        ("http://127.0.0.2:80", None),
        ("http://2130706433/", None),
        ("http://[::ffff:1.2.3.4]/", None),
        ("http://x.org:99999/", None),
        ("/a/path", None),
        ("", None),
    ],
)
def test_a_url_gives_the_rule_of_its_server(url: str, rule: str | None) -> None:
    assert read_url_rule(url) == rule


def test_variables_name_other_servers() -> None:
    environ = {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:8080",
        "OPENAI_BASE_URL": "https://gateway.example/v1",
        "GOOGLE_GEMINI_BASE_URL": "not a url",
        "PIP_INDEX_URL": "https://pip.corp.example/simple",
        "GOPROXY": "https://go.corp.example,direct",
        "npm_config_registry": "https://npm.corp.example/",
        "HOME": "http://x.org",
    }
    agent = read_base_url_rules(environ)
    assert agent == ["127.0.0.1:8080", "gateway.example:443"]
    assert find_forwarded_ports(agent) == [8080]
    assert read_package_url_rules(environ) == [
        "go.corp.example:443", "pip.corp.example:443", "npm.corp.example:443",
    ]  # fmt: skip


def test_the_users_own_proxy_comes_from_the_variables() -> None:
    environ = {
        "HTTPS_PROXY": "http://me:p%40ss@proxy.corp.example:3128",
        "ALL_PROXY": "other.example",
        "NO_PROXY": "localhost, .corp.example 10.0.0.0/8,*.x.example,10.1.2.3:81",
    }
    rules = parse_network_rules(
        format_rules(["all"], [], denied=[], setting="network", environ=environ)
    )
    https, plain = rules.upstream["https"], rules.upstream["http"]
    assert (https.host, https.port, https.credentials) == (
        "proxy.corp.example",
        3128,
        "bWU6cEBzcw==",
    )
    assert (plain.host, plain.port, plain.credentials) == ("other.example", 80, "")
    assert [(r.host, r.port) for r in rules.bypass] == [
        ("corp.example", None), ("x.example", None), ("10.1.2.3", 81),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "url", ["https://p.example", "socks5://p.example:1080", "http://", "http://p:x"]
)
def test_a_proxy_of_another_kind_is_explained(url: str) -> None:
    assert read_proxy_url({"https_proxy": url}, "https") == url
    assert explain_unusable_proxy(url) is not None
    assert "upstream" not in format_rules(
        [], [], denied=[], setting="network", environ={"https_proxy": url}
    )


@pytest.mark.parametrize("rule", ["127.0.0.1", "a..b", "x.org:0", "0x7f.1", "*.org"])
def test_a_setting_that_cannot_be_kept_is_named(rule: str) -> None:
    with pytest.raises(UsageError, match=r"^\[agents.claude\] network: ") as caught:
        format_rules([rule], [], denied=[], setting="[agents.claude] network", environ={})
    assert repr(rule) in caught.value.message
