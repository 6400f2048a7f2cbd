"""Which places of a home folder hold secrets, agents' settings, and caches: data, declared once.

Names are relative to the home folder. `XDG_CONFIG_HOME`, `XDG_DATA_HOME`, `XDG_CACHE_HOME` and the
variables of `CACHE_VARIABLES` move them, as they do for the programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

# Keys, logins, passwords, and what a person has typed.
SECRETS = (
    ".ssh", ".gnupg", ".pki", ".netrc", "_netrc", ".authinfo", ".authinfo.gpg", ".password-store",
    ".git-credentials", ".config/git/credentials", ".config/gh", ".config/hub", ".config/glab-cli",
    ".config/tea", ".config/berg-cli", ".local/share/berg-cli", ".local/share/forgejo-cli",
    ".config/op", ".config/1Password", ".config/Bitwarden CLI", ".config/sops",
    ".config/age", ".local/share/keyrings", ".local/share/kwalletd", ".vault-token",
    ".aws", ".azure", ".config/gcloud", ".boto", ".oci", ".config/doctl", ".config/hcloud",
    ".config/scw", ".linode-cli", ".kube", ".docker", ".config/containers", ".config/helm",
    ".terraform.d", ".terraformrc", ".config/heroku", ".fly", ".config/netlify", ".config/vercel",
    ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", ".gem/credentials", ".cargo/credentials",
    ".cargo/credentials.toml", ".m2/settings.xml", ".m2/settings-security.xml",
    ".gradle/gradle.properties", ".nuget/NuGet", ".config/NuGet", ".composer/auth.json",
    ".config/composer/auth.json", ".hex", ".pgpass", ".my.cnf", ".mylogin.cnf", ".psql_history",
    ".mozilla", ".thunderbird", ".config/google-chrome", ".config/chromium",
    ".config/BraveSoftware", ".config/microsoft-edge", ".config/Slack", ".config/discord",
    ".bash_history", ".zsh_history", ".python_history", ".node_repl_history", ".lesshst",
    ".local/share/fish/fish_history", ".viminfo", ".Xauthority", ".ICEauthority",
    ".local/share/gnupg", ".dbus", "Library/Keychains", "Library/Cookies",
)  # fmt: skip
# Settings and logins of agents: each sees its own, none another's.
AGENTS = (
    ".claude", ".claude.json", ".codex", ".gemini", ".config/opencode", ".local/share/opencode",
    ".local/state/opencode", ".opencode", ".copilot", ".config/github-copilot", ".qwen", ".kimi",
    ".config/goose", ".local/share/goose", ".cline", ".aider.conf.yml", ".aider",
    ".config/mini-swe-agent", ".cursor", ".continue", ".config/crush", ".local/share/crush",
    ".amp", ".config/amp", ".droid", ".factory", ".config/io.datasette.llm",
    ".local/state/orchestr",
)  # fmt: skip
# What package managers and builds fetch and may fetch again.
CACHES = (
    ".cache", ".npm", ".cargo/registry", ".cargo/git", "go/pkg", ".m2/repository", ".gradle",
    ".ivy2", ".sbt", ".nuget/packages", ".bun/install/cache", ".pnpm-store",
    ".local/share/pnpm/store", ".yarn", ".deno", ".ccache", ".konan", ".pub-cache", ".mix",
    ".stack", ".cabal/packages", ".bundle/cache", ".gem", ".node-gyp", ".electron-gyp",
    ".local/share/virtualenv", ".local/share/NuGet",
)  # fmt: skip
# Large things in the cache that are only read: browsers, models, toolchains.
READ_CACHES = (
    "ms-playwright", "puppeteer", "Cypress", "huggingface", "torch", "node", "bazelisk", "electron",
    "selenium", "uv/python",
)  # fmt: skip
# A variable that names a folder, and what of `CACHES` lies in it.
CACHE_VARIABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "GOPATH": (("go/pkg", "pkg"),),
    "GOMODCACHE": ((".gomodcache", ""),),
    "GOCACHE": ((".gocache", ""),),
    "CARGO_HOME": ((".cargo/registry", "registry"), (".cargo/git", "git")),
    "GRADLE_USER_HOME": ((".gradle", ""),),
    "npm_config_cache": ((".npm", ""),),
    "YARN_CACHE_FOLDER": ((".yarn-cache", ""),),
    "PIP_CACHE_DIR": ((".pip-cache", ""),),
    "UV_CACHE_DIR": ((".uv-cache", ""),),
    "POETRY_CACHE_DIR": ((".poetry-cache", ""),),
    "CCACHE_DIR": ((".ccache", ""),),
    "SCCACHE_DIR": ((".sccache", ""),),
    "DENO_DIR": ((".deno", ""),),
    "PUB_CACHE": ((".pub-cache", ""),),
    "NUGET_PACKAGES": ((".nuget/packages", ""),),
    "COMPOSER_CACHE_DIR": ((".composer-cache", ""),),
    "TF_PLUGIN_CACHE_DIR": ((".terraform-plugins", ""),),
}
_MOVED = {
    ".config": "XDG_CONFIG_HOME",
    ".local/share": "XDG_DATA_HOME",
    ".local/state": "XDG_STATE_HOME",
    ".cache": "XDG_CACHE_HOME",
}


def locate_in_home(name: str, home: Path, env: Mapping[str, str]) -> Path:
    """Where a place of the lists above is for a user with this environment."""
    for prefix, variable in _MOVED.items():
        if (name == prefix or name.startswith(f"{prefix}/")) and env.get(variable):
            return Path(env[variable], name.removeprefix(prefix).lstrip("/"))
    return home / name


def locate_caches(home: Path, env: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Each cache as (its name in a folder of caches, where programs look for it)."""
    for name in CACHES:
        yield name, locate_in_home(name, home, env)
    for variable, parts in CACHE_VARIABLES.items():
        place = env.get(variable, "")
        if place.startswith("/"):
            for name, below in parts:
                yield name, Path(place, below)
