"""Which connections of a sandboxed program are let through. Pure.

Owns the rules, their text, the normal form of a host, and the answers "may it connect there?" and
"is this address of that name fit?". Leaves sockets to `orchestr.sandbox.proxy`, known hosts and
the user's environment to `orchestr.sandbox.hosts`.

A rule of the allow-list is one of these:

- `api.example.org`: this name, ports 80 and 443, public addresses only
- `*.example.org`, `*.example.org:8443`: every name below it, public addresses only
- `db.example.org:5432`: this name and port; it may lead to a private address (RFC 1918, 4193,
  6598), because who writes the port means one service
- `10.1.2.3`, `10.1.2.3:5432`, `[fd00::1]:443`: this address, whatever its range
- `127.0.0.1:8080`, `localhost:8080`: a port of the machine's loopback, the same inside
- `all`: every public address, every port

Whatever the list says, a denied host (a forge) and all names below it are refused, unless a rule
is exactly that name. Loopback, link-local (metadata of clouds), multicast and reserved addresses
need a rule that is the address itself.

Imported by a program that must start in milliseconds: nothing here but `_socket` (`socket`,
`ipaddress`, `json` and `dataclasses` take 6 to 11 ms of CPU each, a bare interpreter 9).
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

DEFAULT_PORTS = (80, 443)
EVERY_HOST = "all"
LOOPBACK_NAME = "localhost"
LOOPBACK_HOSTS = (LOOPBACK_NAME, "127.0.0.1", "::1")

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
SPECIAL = (
    # Metadata services that lie in ranges of other kinds: Azure, Alibaba, AWS.
    "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32",
    # https://www.iana.org/assignments/iana-ipv4-special-registry
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    # IPv6 that carries another address (Teredo, 6to4), and ranges for documents and benchmarks
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)  # fmt: skip
GLOBAL_IPV6 = "2000::/3"
NAT64 = "64:ff9b::/96"
MAPPED = (bytes(10) + b"\xff\xff", bytes(12))  # the first 12 bytes of ::ffff:a.b.c.d and ::a.b.c.d

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


class Rule:
    """One line of the allow-list; ``port`` is None for the default ports."""

    __slots__ = ("host", "port")

    def __init__(self, host: str, port: int | None) -> None:
        self.host = host
        self.port = port

    def covers(self, host: str, port: int) -> bool:
        """Whether it lets ``host`` through on ``port``."""
        if self.host == EVERY_HOST:
            return True
        if port not in (DEFAULT_PORTS if self.port is None else (self.port,)):
            return False
        if self.host.startswith("*."):
            return host.endswith(self.host[1:]) and not is_address(host)
        return host == self.host


class Upstream:
    """The user's own proxy; ``credentials`` is what `Proxy-Authorization` holds, or empty."""

    __slots__ = ("credentials", "host", "port")

    def __init__(self, host: str, port: int, credentials: str) -> None:
        self.host = host
        self.port = port
        self.credentials = credentials


class NetworkRules:
    """What one sandbox may reach, and by which way; a line of its text for each fact.

    `allow RULE`, `deny HOST`, `upstream http|https HOST PORT [BASE64]` (the user's own proxy for
    plain and for tunnelled connections), `bypass HOST[:PORT]` (reached without it, `*` for all),
    `resolve HOST ADDRESS...` (as in /etc/hosts: for tests, and for names that no server knows; the
    addresses are checked like any others), `setting TEXT` (the setting that a refusal names).
    """

    __slots__ = ("allow", "bypass", "deny", "resolve", "setting", "upstream")

    def __init__(self) -> None:
        self.allow: list[Rule] = []
        self.deny: list[str] = []
        self.upstream: dict[str, Upstream] = {}
        self.bypass: list[Rule] = []
        self.resolve: dict[str, list[str]] = {}
        self.setting = "network"

    def find_forwards(self) -> list[int]:
        """The ports of the machine's loopback that exist inside, too."""
        return sorted({r.port for r in self.allow if is_loopback(r.host) and r.port is not None})

    def explain_refusal(self, host: str, port: int) -> str | None:
        """Why a connection to ``host`` (in its normal form) is refused; None: it is not."""
        if is_loopback(host):
            known = host in LOOPBACK_HOSTS and port in self.find_forwards()
            return None if known else "the machine's own loopback"
        named = any(r.host == host and r.covers(host, port) for r in self.allow)
        if not named and any(host == d or host.endswith(f".{d}") for d in self.deny):
            return "a forge or a remote of the repository, not named itself"
        if not any(rule.covers(host, port) for rule in self.allow):
            return "not in the list of allowed hosts"
        return None

    def explain_bad_address(self, host: str, port: int, address: str) -> str | None:
        """Why ``address``, an answer to the look-up of ``host``, is not connected to."""
        kind = classify_address(address)
        literal = any(r.host == address and r.covers(address, port) for r in self.allow)
        if kind == "public" or literal:
            return None
        if is_loopback(host) and is_loopback(address):
            return None
        named = any(r.host == host and r.port == port for r in self.allow)
        if kind == "private" and named:
            return None
        return f"{kind} address {address}"

    def choose_upstream(self, scheme: str, host: str, port: int) -> Upstream | None:
        """The user's proxy for ``http`` or ``https``; None for a direct connection."""
        if is_loopback(host):
            return None
        for rule in self.bypass:
            below = host == rule.host or host.endswith(f".{rule.host}")
            if (below or rule.host == "*") and rule.port in (None, port):
                return None
        return self.upstream.get(scheme)


def parse_network_rules(text: str) -> NetworkRules:
    """Read the text of the rules; raises ValueError with the line that is wrong."""
    rules = NetworkRules()
    for line in filter(str.strip, text.splitlines()):
        word, _, value = line.strip().partition(" ")
        words = value.split()
        try:
            if word == "allow":
                rules.allow.append(parse_rule(value))
            elif word == "deny":
                rules.deny.append(normalise_host(value))
            elif word == "upstream":
                scheme, host, port, *credentials = words
                rules.upstream[scheme] = Upstream(host, int(port), "".join(credentials))
            elif word == "bypass":
                rules.bypass.append(Rule("*", None) if value == "*" else parse_rule(value))
            elif word == "resolve":
                rules.resolve[normalise_host(words[0])] = words[1:]
            elif word == "setting":
                rules.setting = value
            else:
                raise ValueError("unknown word")
        except (ValueError, IndexError) as error:
            raise ValueError(f"rule {line.strip()!r}: {error}") from None
    return rules


def parse_rule(text: str) -> Rule:
    """Read one rule of the allow-list; raises ValueError with what is wrong."""
    text = text.strip().lower()
    if text == EVERY_HOST:
        return Rule(text, None)
    host, port = split_port(text)
    wild = host.startswith("*.")
    host = normalise_host(host.removeprefix("*.") if wild else host)
    if wild and ("." not in host or is_address(host)):
        raise ValueError("`*.` stands before a domain of at least two labels")
    if is_loopback(host) and (port is None or host not in LOOPBACK_HOSTS or wild):
        raise ValueError("the machine's loopback is named with its port, like 127.0.0.1:8080")
    return Rule(f"*.{host}" if wild else host, port)


def split_port(text: str) -> tuple[str, int | None]:
    """`host:port` in its two parts; an IPv6 address stands in brackets."""
    head, colon, tail = text.rpartition(":")
    if not colon or (text.startswith("[") and text.endswith("]")):
        return text, None
    if not (tail.isascii() and tail.isdigit() and tail == str(int(tail)) and int(tail) in PORTS):
        raise ValueError(f"{tail[:20]!r} is not a port")
    return head, int(tail)


PORTS = range(1, 65536)


def normalise_host(text: str) -> str:
    """The one form of a name or address that is compared; raises ValueError for an odd one.

    Odd are all forms that another reader may take for something else: decimal and hexadecimal
    addresses, IPv4 within IPv6, zones, user names, names beyond ASCII (their `xn--` form is fine).
    """
    if text.startswith("[") and text.endswith("]"):
        try:
            packed = inet_pton(AF_INET6, text[1:-1])
        except OSError:
            raise ValueError("not an IPv6 address") from None
        if packed[:12] in MAPPED and packed[12:] not in (bytes(4), b"\0\0\0\1"):
            raise ValueError("an IPv4 address written as IPv6")
        return inet_ntop(AF_INET6, packed)
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    for label in labels:
        if not 1 <= len(label) <= 63 or not _NAME_CHARACTERS.issuperset(label):
            raise ValueError("not a host name")
        if label.startswith("-") or label.endswith("-"):
            raise ValueError("not a host name")
    if len(host) > 253:
        raise ValueError("a host name that is too long")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        try:
            return inet_ntop(AF_INET, inet_pton(AF_INET, host))
        except OSError:
            raise ValueError("an address in an odd form") from None
    return host


def is_address(host: str) -> bool:
    """Whether a host in its normal form is an address."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def is_loopback(host: str) -> bool:
    """Whether a host in its normal form is the machine itself."""
    if is_address(host):
        return host == "::1" or host.startswith("127.")
    return host == LOOPBACK_NAME or host.endswith(f".{LOOPBACK_NAME}")


def classify_address(address: str) -> str:
    """`public`, `private` or `special` (loopback, link-local, multicast, reserved, carriers)."""
    packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    if len(packed) == 16:
        if is_inside(packed, NAT64):
            return classify_address(inet_ntop(AF_INET, packed[12:]))
        if not is_inside(packed, GLOBAL_IPV6) and not is_inside(packed, PRIVATE[-1]):
            return "special"
    if any(is_inside(packed, network) for network in SPECIAL):
        return "special"
    return "private" if any(is_inside(packed, network) for network in PRIVATE) else "public"


def is_inside(packed: bytes, network: str) -> bool:
    """Whether an address lies in ``network`` (`10.0.0.0/8`)."""
    first, _, bits = network.partition("/")
    start = inet_pton(AF_INET6 if ":" in first else AF_INET, first)
    if len(start) != len(packed):
        return False
    shift = 8 * len(packed) - int(bits)
    return int.from_bytes(packed, "big") >> shift == int.from_bytes(start, "big") >> shift
