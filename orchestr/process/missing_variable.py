"""Environment variables that a failed program says it lacks: dropped by an allow-list, or not set.

Pure. A program rarely fails in a form that can be parsed; what is looked for are lines that name a
variable and say in one of the usual ways that it is not there. Of a variable that the user has set
and that was not passed on, weaker words count than of one that is not set at all: that one may be
the code's own invention, which is no matter of the environment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

# Where tools are installed and where they keep what they fetched: places, not secrets.
TOOL_VARIABLES = (
    "JAVA_HOME", "JDK_HOME", "JRE_HOME", "JAVA_HOME_*", "MAVEN_HOME", "M2_HOME", "M2",
    "GRADLE_HOME", "GRADLE_USER_HOME", "KOTLIN_HOME", "SCALA_HOME", "SBT_HOME", "ANT_HOME",
    "GROOVY_HOME", "SDKMAN_DIR", "SDKMAN_CANDIDATES_DIR", "JENV_ROOT", "COURSIER_CACHE",
    "ANDROID_HOME", "ANDROID_SDK_ROOT", "ANDROID_NDK_HOME", "ANDROID_NDK_ROOT",
    "GOPATH", "GOROOT", "GOBIN", "GOCACHE", "GOMODCACHE", "GOENV_ROOT", "GOTOOLCHAIN", "GOPRIVATE",
    "GONOSUMDB", "GONOPROXY", "GOFLAGS", "CGO_ENABLED",
    "CARGO_HOME", "CARGO_TARGET_DIR", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "SCCACHE_DIR",
    "NVM_DIR", "NVM_BIN", "NVM_INC", "NODE_PATH", "NODE_VERSION", "NODENV_ROOT", "VOLTA_HOME",
    "FNM_DIR", "FNM_MULTISHELL_PATH", "N_PREFIX", "NPM_CONFIG_PREFIX", "npm_config_prefix",
    "PNPM_HOME", "COREPACK_HOME", "YARN_CACHE_FOLDER", "BUN_INSTALL", "DENO_DIR", "DENO_INSTALL",
    "PLAYWRIGHT_BROWSERS_PATH", "PUPPETEER_EXECUTABLE_PATH", "PUPPETEER_CACHE_DIR",
    "CYPRESS_CACHE_FOLDER", "CHROME_BIN", "CHROME_PATH",
    "ASDF_DIR", "ASDF_DATA_DIR", "ASDF_CONFIG_FILE", "ASDF_DEFAULT_TOOL_VERSIONS_FILENAME",
    "MISE_DATA_DIR", "MISE_CONFIG_DIR", "MISE_CACHE_DIR", "RTX_DATA_DIR", "PROTO_HOME",
    "PYENV_ROOT", "PYENV_VERSION", "CONDA_EXE", "CONDA_PREFIX", "CONDA_DEFAULT_ENV",
    "MAMBA_ROOT_PREFIX", "MAMBA_EXE", "POETRY_HOME", "POETRY_CACHE_DIR", "UV_CACHE_DIR",
    "UV_PYTHON_INSTALL_DIR", "UV_TOOL_DIR", "PIPX_HOME", "PIPX_BIN_DIR", "PIP_CACHE_DIR",
    "RBENV_ROOT", "GEM_HOME", "GEM_PATH", "BUNDLE_PATH", "RVM_PATH", "rvm_path",
    "COMPOSER_HOME", "COMPOSER_CACHE_DIR", "PHPENV_ROOT",
    "DOTNET_ROOT", "DOTNET_CLI_HOME", "NUGET_PACKAGES",
    "HOMEBREW_PREFIX", "HOMEBREW_CELLAR", "HOMEBREW_REPOSITORY", "NIX_PATH", "NIX_PROFILES",
    "NIX_SSL_CERT_FILE", "LOCALE_ARCHIVE", "DEVELOPER_DIR", "SDKROOT",
    "FLUTTER_ROOT", "FLUTTER_HOME", "PUB_CACHE", "DART_SDK", "MIX_HOME", "HEX_HOME", "OPAMROOT",
    "STACK_ROOT", "CABAL_DIR", "GHCUP_INSTALL_BASE_PREFIX", "JULIA_DEPOT_PATH", "R_HOME",
    "R_LIBS_USER", "LUA_PATH", "PERL5LIB", "ERL_LIBS",
    "CC", "CXX", "CMAKE_PREFIX_PATH", "PKG_CONFIG_PATH", "VCPKG_ROOT", "CCACHE_DIR", "CUDA_HOME",
    "CUDA_PATH", "LLVM_HOME", "PROTOC", "TERRAFORM_CONFIG", "TF_PLUGIN_CACHE_DIR",
    "HELM_CACHE_HOME", "BAZELISK_HOME",
)  # fmt: skip

MOST = 1 << 20  # characters of an output that are looked at, from its end
FEW = 5  # variables that are named
# They differ from terminal to terminal; no program fails for want of them.
_IDLE = frozenset(
    ("PWD", "OLDPWD", "SHLVL", "TERM", "COLUMNS", "LINES", "EDITOR", "VISUAL", "PAGER", "MAIL",
     "HOSTNAME", "HOSTTYPE", "OSTYPE", "LS_COLORS", "PS1", "CI", "NO_COLOR", "DEBUG", "INIT",
     "NAME", "TYPE", "MODE", "TEST", "TESTS", "ERROR", "FAIL", "FAILED", "PATH", "HOME", "USER")
)  # fmt: skip
_LACKS = re.compile(
    r"not set|unset|isn'?t set|not defined|undefined|not found|missing|required|requires|unbound"
    r"|must be|needs? to be|have to be|has to be|should be set|not provided|not specified"
    r"|not configured|is empty|blank|null|keyerror|notpresent|not present|no such|not available"
    r"|unavailable|please set|please export|set the|export the|invalid|unauthori[sz]ed|none\b",
    re.IGNORECASE,
)
_NAME = r"['\"`$({]{0,3}([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]|[A-Z]{4,}[A-Z0-9]*)['\"`)}]{0,2}"
# What says so beyond doubt, also of a variable that is not set here.
_CERTAIN = re.compile(
    rf"(?:env(?:ironment)?\s+(?:var(?:iable)?s?\s+)?{_NAME}.{{0,40}}?(?:{_LACKS.pattern})"
    rf"|{_NAME}:?\s+(?:(?:environment\s+)?variable\s+)?"
    rf"(?:is\s+|was\s+|are\s+)?(?:not\s+set|unset|unbound\s+variable|not\s+defined"
    rf"|undefined|missing|required|null\s+or\s+not\s+set|parameter\s+(?:null\s+or\s+)?not\s+set"
    rf"|must\s+be\s+(?:set|defined|provided)|not\s+provided|is\s+empty)"
    rf"|(?:missing|undefined|unset|required|please\s+set|please\s+export|must\s+set)"
    rf"(?:\s+\w+){{0,3}}?\s+env(?:ironment)?(?:\s+var(?:iable)?s?)?:?\s+{_NAME}"
    rf"|KeyError:\s+{_NAME}|key\s+not\s+found:\s+{_NAME})"
)


@dataclass(frozen=True, slots=True)
class MissingVariable:
    """``dropped``: the user has set it, and it was not passed on. ``is_tool``: it says where a
    known tool is installed, so it belongs to the machine."""

    name: str
    dropped: bool
    is_tool: bool = False


def find_missing_variables(
    output: str, given: Collection[str], environ: Mapping[str, str]
) -> tuple[MissingVariable, ...]:
    """The variables that the output of a failed program says are not there, those first that were
    dropped. ``given`` are the names that it had, ``environ`` is the user's environment."""
    text = output[-MOST:]
    lines = text.splitlines()
    names: dict[str, MissingVariable] = {}
    candidates = {n for n in environ if n not in given and _may_be_needed(n)}
    if candidates:
        pattern = re.compile(
            rf"(?<![A-Za-z0-9_])(?:{'|'.join(sorted(map(re.escape, candidates)))})(?![A-Za-z0-9_])"
        )
        for number, line in enumerate(lines):
            for found in pattern.findall(line):
                if _LACKS.search(" ".join(lines[number : number + 3])[:2000]):
                    names[found] = MissingVariable(found, True, is_tool_variable(found))
    for line in lines:
        for match in _CERTAIN.finditer(line[:2000]):
            name = next(group for group in match.groups() if group)
            if name not in given and name not in environ and name not in _IDLE:
                names[name] = MissingVariable(name, False, is_tool_variable(name))
    return tuple(sorted(names.values(), key=lambda v: (not v.dropped, v.name))[:FEW])


def is_tool_variable(name: str) -> bool:
    """Whether a variable says where a known tool is installed."""
    return name in TOOL_VARIABLES


def _may_be_needed(name: str) -> bool:
    return len(name) >= 4 and name not in _IDLE and not name.startswith(("ORCHESTR_", "BASH_"))
