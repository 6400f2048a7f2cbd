"""Known hosts, and the rules for a sandbox made of them, of the settings and of the environment.

Owns which hosts an agent kind and a package manager need, which hosts are forges, and which
variables name another server or the user's own proxy. Pure: the environment is given. Leaves the
meaning of a rule to `orchestr.sandbox.network_rules`, which writes and reads them too.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from urllib.parse import SplitResult, unquote, urlsplit

from orchestr.errors import UsageError
from orchestr.sandbox.listen import PROXY_VARIABLES
from orchestr.sandbox.network_rules import EVERY_HOST, is_loopback, normalise_host, parse_rule

# What an agent needs for answers of its model and to renew its login; no telemetry, no updates.
AGENT_HOSTS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    # https://code.claude.com/docs/en/network-config; claude.ai: its WebFetch asks about a domain
    "claude": (
        "api.anthropic.com", "claude.ai", "platform.claude.com", "console.anthropic.com",
    ),
    "codex": ("api.openai.com", "chatgpt.com", "auth.openai.com"),
    "gemini": (
        "generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com",
        "aiplatform.googleapis.com", "oauth2.googleapis.com", "accounts.google.com",
        "www.googleapis.com",
    ),
    # https://opencode.ai/docs: its list of models, its own models, and the providers by default
    "opencode": (
        "models.dev", "opencode.ai", "api.opencode.ai", "api.anthropic.com",
        "console.anthropic.com", "platform.claude.com",
        "api.openai.com", "auth.openai.com", "chatgpt.com",
        "generativelanguage.googleapis.com", "openrouter.ai", "api.groq.com", "api.mistral.ai",
        "api.deepseek.com", "api.x.ai",
    ),
    "command": (),
})  # fmt: skip

# Where a package manager fetches from; nothing that packages are published to by another name.
PACKAGE_HOSTS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "npm": ("registry.npmjs.org",),
    "yarn": ("registry.yarnpkg.com", "repo.yarnpkg.com", "registry.npmjs.org"),
    "pip": ("pypi.org", "files.pythonhosted.org"),
    "cargo": ("crates.io", "index.crates.io", "static.crates.io", "static.rust-lang.org"),
    "go": ("proxy.golang.org", "sum.golang.org"),
    "maven": ("repo.maven.apache.org", "repo1.maven.org"),
    "gradle": (
        "plugins.gradle.org", "plugins-artifacts.gradle.org", "services.gradle.org",
        "downloads.gradle.org", "repo.maven.apache.org", "repo1.maven.org",
    ),
    "gem": ("rubygems.org", "index.rubygems.org"),
})  # fmt: skip

# Refused with all names below them, unless a rule of the settings is exactly the name.
FORGE_HOSTS = (
    "github.com", "githubapp.com", "gitlab.com", "codeberg.org", "bitbucket.org", "gitea.com",
    "sr.ht", "dev.azure.com", "visualstudio.com", "salsa.debian.org", "framagit.org",
)  # fmt: skip

# Tried by agents at every start and not needed: no news for the person when they are refused.
TELEMETRY_HOSTS = (
    "statsig.anthropic.com", "statsig.com", "statsigapi.net", "sentry.io", "datadoghq.com",
    "play.googleapis.com", "ab.chatgpt.com", "us.i.posthog.com",
)  # fmt: skip

# Variables (or patterns of them) whose URL is another server for the same thing.
BASE_URL_VARIABLES = (
    "*_BASE_URL", "*_API_BASE", "*_API_ENDPOINT", "*_API_HOST", "CODE_ASSIST_ENDPOINT",
    "AZURE_OPENAI_ENDPOINT", "OLLAMA_HOST",
)  # fmt: skip
PACKAGE_URL_VARIABLES = (
    "npm_config_registry", "NPM_CONFIG_REGISTRY", "YARN_REGISTRY", "YARN_NPM_REGISTRY_SERVER",
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX",
    "UV_EXTRA_INDEX_URL", "GOPROXY", "GOSUMDB", "CARGO_REGISTRIES_*_INDEX", "BUNDLE_MIRROR__*",
    "PLAYWRIGHT_DOWNLOAD_HOST",
)  # fmt: skip


def format_rules(
    user: Iterable[str],
    known: Iterable[str],
    *,
    denied: Iterable[str],
    setting: str,
    environ: Mapping[str, str],
) -> str:
    """The text of a sandbox's rules.

    ``user`` is a setting's list (`all` within), ``known`` what comes of itself (hosts of the
    agent's kind, of package managers, of variables). ``denied`` are the hosts of the repository's
    remotes. A known host that is denied is left out: only a person lets a forge through.
    ``setting`` is named in refusals (`[agents.claude] network`); ``environ`` may name the user's
    own proxy. Raises UsageError for a rule of the settings that cannot be kept.
    """
    refused = {*FORGE_HOSTS, *(host for host in map(_normalise_known, denied) if host)}
    own = list(user)
    for rule in own:
        _check_rule(rule, setting)
    taken = [
        rule for rule in known if not any(_is_below(parse_rule(rule).host, one) for one in refused)
    ]
    lines = [f"allow {rule}" for rule in dict.fromkeys((*own, *taken))]
    lines += [f"deny {host}" for host in sorted(refused) if not is_loopback(host)]
    lines += format_user_proxy(environ)
    lines.append(f"setting {' '.join(setting.split())}")
    return "".join(f"{line}\n" for line in lines)


def _check_rule(rule: str, setting: str) -> None:
    try:
        parse_rule(rule)
    except ValueError as error:
        raise UsageError(
            f"{setting}: {rule!r}: {error}",
            hint="write it like api.example.org, *.example.org, db.example.org:5432 or "
            "127.0.0.1:8080 (docs/security.md)",
        ) from None


def find_forwarded_ports(rules: Iterable[str]) -> list[int]:
    """The loopback ports among the rules: what `orchestr.sandbox.listen` opens inside."""
    parsed = [parse_rule(rule) for rule in rules]
    return sorted({r.port for r in parsed if is_loopback(r.host) and r.port is not None})


def read_base_url_rules(environ: Mapping[str, str]) -> list[str]:
    """Rules for the servers that an agent's variables name (`ANTHROPIC_BASE_URL`)."""
    return _read_url_rules(environ, BASE_URL_VARIABLES)


def read_package_url_rules(environ: Mapping[str, str]) -> list[str]:
    """Rules for the registries that variables of package managers name (`PIP_INDEX_URL`)."""
    return _read_url_rules(environ, PACKAGE_URL_VARIABLES)


def _read_url_rules(environ: Mapping[str, str], patterns: tuple[str, ...]) -> list[str]:
    rules: list[str] = []
    for name, value in sorted(environ.items()):
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            # Lists of URLs: by commas, bars (GOPROXY) and spaces (UV_EXTRA_INDEX_URL).
            words = value.replace(",", " ").replace("|", " ").split()
            rules += filter(None, map(read_url_rule, words))
    return list(dict.fromkeys(rules))


def read_url_rule(url: str) -> str | None:
    """The rule for the server of a URL; None when it has none that can be allowed.

    With its port, so that a name of the user's own network may lead to a private address.
    """
    text = url.strip().removeprefix("sparse+")
    name, equals, rest = text.partition("=")
    if equals and "://" not in name:  # UV_INDEX: NAME=URL
        text = rest
    if "://" not in text:
        if not text.rpartition(":")[2].isdigit():
            return None  # GOPROXY's `direct`, and words that are no server
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = _read_host(parts), parts.port or {"https": 443, "http": 80}[parts.scheme]
    except (ValueError, KeyError):
        return None
    rule = None if host is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return rule if rule is None or _is_rule(rule) else None


def _is_rule(text: str) -> bool:
    try:
        parse_rule(text)
    except ValueError:
        return False
    return True


def _read_host(parts: SplitResult) -> str | None:
    host = parts.hostname
    if not host:
        return None
    return normalise_host(f"[{host}]" if ":" in host else host)


def _normalise_known(host: str) -> str | None:
    try:
        return normalise_host(f"[{host}]" if ":" in host and "[" not in host else host)
    except ValueError:
        return None


def _is_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def drop_user_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without the variables of the user's own proxy: its password is in them."""
    return {name: value for name, value in environ.items() if name not in PROXY_VARIABLES}


def format_user_proxy(environ: Mapping[str, str]) -> list[str]:
    """Lines of the rules for the proxy that the user's own variables name, and for `NO_PROXY`."""
    lines: list[str] = []
    for scheme in ("http", "https"):
        url = read_proxy_url(environ, scheme)
        if url is not None and explain_unusable_proxy(url) is None:
            parts = urlsplit(url)
            port = parts.port or 80
            login = ""
            if parts.username is not None:
                pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
                login = base64.b64encode(pair.encode()).decode()
            lines.append(f"upstream {scheme} {parts.hostname} {port} {login}".rstrip())
    for item in (
        (environ.get("no_proxy") or environ.get("NO_PROXY") or "").replace(",", " ").split()
    ):
        rule = _read_bypass(item)
        if lines and rule is not None:
            lines.append(f"bypass {rule}")
    return lines


def read_proxy_url(environ: Mapping[str, str], scheme: str) -> str | None:
    """The user's own proxy for ``http`` or ``https``, as curl finds it; None: there is none."""
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    found = next((environ[name] for name in names if environ.get(name)), None)
    return found if found is None or "://" in found else f"http://{found}"


def explain_unusable_proxy(url: str) -> str | None:
    """Why the user's own proxy cannot be passed through; None: it can."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        return "the variable of the proxy is not a URL"
    if parts.scheme != "http":
        return f"a proxy reached by {parts.scheme}:// is not supported, only by http://"
    return None


def _read_bypass(item: str) -> str | None:
    if item == "*":
        return item
    try:
        rule = parse_rule(item.removeprefix("*").removeprefix("."))
    except ValueError:
        return None  # loopback, which never goes there, or a form that we do not read (10.0.0.0/8)
    if rule.host == EVERY_HOST:
        return None
    host = f"[{rule.host}]" if ":" in rule.host else rule.host
    return host if rule.port is None else f"{host}:{rule.port}"
