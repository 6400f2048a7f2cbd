"""What a rule lets through: a table for each of its forms, and odd ways to write a host."""

from __future__ import annotations

import pytest

from orchestr.sandbox.network_rules import (
    classify_address,
    normalise_host,
    parse_network_rules,
    parse_rule,
    split_port,
)

RULES = """\
allow api.example.org
allow *.wild.example.org
allow db.example.org:5432
allow 10.1.2.3:5432
allow [fd00::1]:443
allow 127.0.0.1:8080
allow *.github.com
allow git.corp.example
deny github.com
deny corp.example
setting [agents.claude] network
"""


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("api.example.org", 443, True),
        ("api.example.org", 80, True),
        ("api.example.org", 22, False),
        ("example.org", 443, False),
        ("xapi.example.org", 443, False),
        ("a.api.example.org", 443, False),
        ("a.wild.example.org", 443, True),
        ("a.b.wild.example.org", 443, True),
        ("wild.example.org", 443, False),
        ("awild.example.org", 443, False),
        ("db.example.org", 5432, True),
        ("db.example.org", 443, False),
        ("10.1.2.3", 5432, True),
        ("10.1.2.3", 443, False),
        ("fd00::1", 443, True),
        ("127.0.0.1", 8080, True),
        ("localhost", 8080, True),
        ("::1", 8080, True),
        ("127.0.0.2", 8080, False),
        ("127.0.0.1", 8081, False),
        ("api.github.com", 443, False),  # a wildcard is no name
        ("git.corp.example", 443, True),  # denied, but named itself
        ("other.corp.example", 443, False),
    ],
)
def test_a_rule_lets_through_what_it_names(host: str, port: int, allowed: bool) -> None:
    assert (parse_network_rules(RULES).explain_refusal(host, port) is None) is allowed


def test_all_is_every_public_host_but_the_denied() -> None:
    rules = parse_network_rules("allow all\ndeny github.com\n")
    assert rules.explain_refusal("example.org", 12345) is None
    assert rules.explain_refusal("api.github.com", 443) is not None
    assert rules.explain_refusal("localhost", 443) is not None
    assert rules.explain_refusal("127.0.0.1", 80) is not None
    assert rules.explain_bad_address("x.org", 443, "8.8.8.8") is None
    assert rules.explain_bad_address("x.org", 443, "10.0.0.1") == "private address 10.0.0.1"
    assert rules.explain_bad_address("10.0.0.1", 443, "10.0.0.1") is not None


def test_a_name_leads_to_a_private_address_only_with_its_port() -> None:
    rules = parse_network_rules(RULES)
    assert rules.explain_bad_address("db.example.org", 5432, "10.9.9.9") is None
    assert rules.explain_bad_address("api.example.org", 443, "10.9.9.9") is not None
    assert rules.explain_bad_address("a.wild.example.org", 443, "192.168.1.1") is not None
    for special in ("127.0.0.1", "169.254.169.254", "::1", "0.0.0.0", "fd00:ec2::254"):
        assert rules.explain_bad_address("db.example.org", 5432, special) is not None
    # The address itself is in a rule: whatever name leads there.
    assert rules.explain_bad_address("api.example.org", 5432, "10.1.2.3") is None


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("8.8.8.8", "public"),
        ("172.15.0.1", "public"),
        ("172.16.0.1", "private"),
        ("100.64.0.1", "private"),
        ("100.100.100.200", "special"),
        ("168.63.129.16", "special"),
        ("169.254.169.254", "special"),
        ("127.9.9.9", "special"),
        ("0.0.0.0", "special"),
        ("224.0.0.1", "special"),
        ("255.255.255.255", "special"),
        ("198.18.0.1", "special"),
        ("2606:4700::1", "public"),
        ("::1", "special"),
        ("::", "special"),
        ("fe80::1", "special"),
        ("fc00::1", "private"),
        ("ff02::1", "special"),
        ("::ffff:8.8.8.8", "special"),
        ("2002:7f00:1::", "special"),
        ("2001:0:1::", "special"),
        ("64:ff9b::8.8.8.8", "public"),
        ("64:ff9b::127.0.0.1", "special"),
        ("64:ff9b::10.0.0.1", "private"),
    ],
)
def test_addresses_are_sorted_by_who_can_be_behind_them(address: str, kind: str) -> None:
    assert classify_address(address) == kind


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("API.Example.ORG.", "api.example.org"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_srv.example.org", "_srv.example.org"),
        ("1.2.3.4", "1.2.3.4"),
        ("[2606:4700:0::1]", "2606:4700::1"),
        ("[::1]", "::1"),
    ],
)
def test_a_host_has_one_form(text: str, host: str) -> None:
    assert normalise_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "a..b", "-a.b", "a-.b", "a b", "a/b", "a@b", "a%00", "a\0b", "bücher.example",
        "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.0x1", "1.2.3", "1.2.3.4.5",
        "256.1.1.1", "01.2.3.4", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[fe80::1%eth0]",
        "[1.2.3.4]", "[::1", "::1", "a" * 64 + ".org",
        ".".join(["a" * 60] * 5), "a:80", "ⅼocalhost",
    ],
)  # fmt: skip
def test_an_odd_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|address"):
        normalise_host(text)


@pytest.mark.parametrize("text", ["a:0", "a:65536", "a:+80", "a:080", "a:", "a: 80", "a:８０"])
def test_an_odd_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        split_port(text)


@pytest.mark.parametrize(
    "text", ["*", "*.org", "*.1.2.3.4", "localhost", "127.0.0.2:80", "*.localhost:1"]
)
def test_a_rule_that_means_too_much_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\*|loopback|host name"):
        parse_rule(text)


def test_the_text_of_the_rules_is_read_strictly() -> None:
    with pytest.raises(ValueError, match="rule 'alow x': unknown word"):
        parse_network_rules("alow x")
    with pytest.raises(ValueError, match=r"rule 'allow a b': not a host name"):
        parse_network_rules("allow a b")


def test_the_users_proxy_is_passed_by_for_the_hosts_of_no_proxy() -> None:
    rules = parse_network_rules(
        "upstream https proxy.corp 3128 dTpw\nbypass corp.example\nbypass one.org:8443\n"
    )
    found = rules.choose_upstream("https", "api.example.org", 443)
    assert found is not None
    assert (found.host, found.port, found.credentials) == ("proxy.corp", 3128, "dTpw")
    assert rules.choose_upstream("http", "api.example.org", 80) is None
    assert rules.choose_upstream("https", "x.corp.example", 443) is None
    assert rules.choose_upstream("https", "one.org", 8443) is None
    assert rules.choose_upstream("https", "one.org", 443) is not None
    assert rules.choose_upstream("https", "127.0.0.1", 443) is None
    assert (
        parse_network_rules("upstream http p 1\nbypass *").choose_upstream("http", "a", 1) is None
    )
