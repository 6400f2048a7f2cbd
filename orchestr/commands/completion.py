"""`completion bash|zsh|fish`: a script for the shell; it asks us what fits at every Tab.

So verbs, options and names are never out of date: the script runs `orchestr completion --words`
with the words typed so far, and gets a candidate a line, its meaning after a tab.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from orchestr.commands.base.help import purpose_of, usage_of
from orchestr.commands.base.options import flag_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import OrchestrError, UsageError
from orchestr.registry import VERBS
from orchestr.run.workspace import Session, suggest_name
from orchestr.spec.checks import Gate
from orchestr.spec.goal_names import FEATURE_PREFIX
from orchestr.spec.phases import Phase

SHELLS = ("bash", "zsh", "fish")
FILES = {"output"}  # options whose value is a file: the shell knows better

BASH = r"""# orchestr completion for bash:  eval "$(orchestr completion bash)"
_orchestr() {
  local line words=() word=${COMP_LINE:0:COMP_POINT}
  # Split at blanks only: bash would split names at their colons, too.
  read -ra words <<<"$word"
  [[ $word == *[[:space:]] ]] && words+=("")
  local current=${words[${#words[@]}-1]}
  COMPREPLY=()
  while IFS=$'\t' read -r line _; do
    # What stands before the last colon is on the line already.
    [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && line=${line#"${current%:*}:"}
    COMPREPLY+=("$line")
  done < <("${words[0]}" completion --words -- "${words[@]:1}" 2>/dev/null)
  compopt -o nospace 2>/dev/null
  if [[ ${#COMPREPLY[@]} -eq 1 && $current != *:* && ${COMPREPLY[0]} == [!:]* ]]; then
    case ${COMPREPLY[0]} in
      -*) COMPREPLY[0]+=' ' ;;
      *) [[ ${#words[@]} -eq 2 ]] && COMPREPLY[0]+=' ' ;;
    esac
  fi
}
complete -o bashdefault -o default -F _orchestr orchestr
"""
ZSH = r"""#compdef orchestr
# orchestr completion for zsh:  eval "$(orchestr completion zsh)"  after compinit
_orchestr() {
  local line name told
  local -a names shown
  while IFS=$'\t' read -r name told; do
    names+=("$name")
    shown+=("$name${told:+  -- $told}")
  done < <("${words[1]}" completion --words -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( ${#names} )); then
    compadd -l -d shown -a names
  else
    _files
  fi
}
compdef _orchestr orchestr
"""
FISH = r"""# orchestr completion for fish:
# orchestr completion fish > ~/.config/fish/completions/orchestr.fish
function __orchestr_words
    set -l typed (commandline -opc) (commandline -ct)
    $typed[1] completion --words -- $typed[2..-1] 2>/dev/null
end
complete -c orchestr -f -a '(__orchestr_words)'
complete -c orchestr -n '__fish_seen_subcommand_from validate init' -F
complete -c orchestr -n '__fish_seen_subcommand_from graph' -s o -l output -rF
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


class Completion(PlainVerb):
    """Needs a workspace for names only; prints nothing where something is wrong."""

    doc_purpose = "a completion script for your shell"
    doc_usage = "bash|zsh|fish"
    help_group = "workspace"
    only_reads = True
    examples = (
        ('eval "$(orchestr completion bash)"', "in ~/.bashrc"),
        ('eval "$(orchestr completion zsh)"', "in ~/.zshrc, after compinit"),
        ("completion fish > ~/.config/fish/completions/orchestr.fish", "once"),
    )
    cmd_options = (flag_option("words", "what fits behind these words (the scripts ask this)"),)
    needs_workspace = False

    def run_verb(self, session: Session | None, params: Any, args: list[str]) -> int:
        """Print the script, or the candidates."""
        if params["words"]:
            return print_candidates(args)
        if len(args) != 1 or args[0] not in SCRIPTS:
            hint = suggest_name(args[0], SHELLS) if args else None
            raise UsageError(
                f"`completion` wants one of {', '.join(SHELLS)}",
                hint=hint or 'eval "$(orchestr completion bash)" in ~/.bashrc',
            )
        sys.stdout.write(SCRIPTS[args[0]])
        return 0


def print_candidates(words: Sequence[str]) -> int:
    """Print what fits for the last word. A Tab is no place for an error."""
    try:
        for name, told in find_candidates(words or [""]):
            sys.stdout.write(f"{name}\t{told}\n" if told else f"{name}\n")
    except (OrchestrError, OSError):
        return 0
    return 0


def find_candidates(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What fits for the last word, with its meaning. Raises OrchestrError outside a workspace."""
    *before, current = words
    if not before:
        found = [(verb, _purpose_of(verb)) for verb in VERBS.names()]
        yield from _filter_by_prefix([*found, ("help", "options and examples of a verb")], current)
        return
    verb = before[0]
    if verb == "help":
        yield from _filter_by_prefix([(name, "") for name in VERBS.names()], current)
        return
    if not VERBS.knows(verb):
        return
    kind = VERBS.load(verb)
    options = [o for o in kind.cmd_options if o.get("section") == "orchestr"]
    asked = _option_awaiting_value(options, before[-1])
    if asked is not None:
        yield from _filter_by_prefix(_option_values(asked, before), current)
    elif current.startswith("-"):
        flags = [(f"--{o['long']}", str(o["help"])) for o in options if o["long"]]
        yield from _filter_by_prefix([f for f in flags if f[0] not in before], current)
    elif verb == "completion":
        yield from _filter_by_prefix([(shell, "") for shell in SHELLS], current)
    elif "FEATURE" in usage_of(kind) or verb == "info":
        yield from _target_names(
            current, "PHASE" in usage_of(kind) or verb == "info", usage_of(kind)
        )


def _purpose_of(verb: str) -> str:
    """What a verb is for; empty when its package cannot be loaded, so that the others show."""
    try:
        return purpose_of(VERBS.load(verb))
    except OrchestrError:
        return ""


def _option_awaiting_value(options: Sequence[Any], last: str) -> Any | None:
    for option in options:
        flags = [f"--{option['long']}"] + ([f"-{option['short']}"] if option["short"] else [])
        if option["type"] is not bool and last in flags:
            return option
    return None


def _option_values(option: Any, before: Sequence[str]) -> list[tuple[str, str]]:
    """Values of an option, as far as they are known."""
    if option["name"] in FILES:
        return []
    if option["name"] == "format" and before[0] == "export":
        from orchestr.views.export import ExportFormat

        return [(form.value, "") for form in ExportFormat]
    if option["name"] == "gate":
        return [(gate.value, "") for gate in Gate]
    if option["name"] == "format":
        from orchestr.views.graph.formats import FORMATS

        return [(form, "") for form in FORMATS]
    if option["name"] not in ("agent", "only", "if_changed", "review"):
        return []
    session = Session.from_cwd()
    if option["name"] == "agent":
        return [(name, agent.kind) for name, agent in session.settings.agents.items()]
    if option["name"] == "review":
        words = [word.removeprefix(FEATURE_PREFIX).split(":") for word in before[1:]]
        found = [session.specs.features[w[0]].cell(w[1]) for w in words
                 if len(w) > 1 and w[0] in session.specs.features
                 and w[1] in [c.name for c in session.specs.features[w[0]].cells]]  # fmt: skip
        return [(one.name, one.agent) for cell in found for one in cell.proof.reviewers]
    named = {word.removeprefix(FEATURE_PREFIX).split(":")[0] for word in before[1:]}
    chosen = [f for f in session.specs.features.values() if f.name in named]
    features = chosen or list(session.specs.features.values())
    return [(cell.name, cell.repo) for feature in features for cell in feature.cells]


def _target_names(current: str, phases: bool, usage: str) -> Iterator[tuple[str, str]]:
    """Features, behind a colon their cells, behind two the phases."""
    session = Session.from_cwd()
    prefix = FEATURE_PREFIX if current.startswith(FEATURE_PREFIX) else ""
    parts = current.removeprefix(prefix).split(":")
    features = session.specs.features
    if len(parts) == 1:
        yield from _filter_by_prefix([(prefix + n, f.title) for n, f in features.items()], current)
    elif len(parts) == 2 and parts[0] in features and "CELL" in usage + ("CELL" * phases):
        cells = features[parts[0]].cells
        found = [(f"{prefix}{parts[0]}:{c.name}", f"{c.repo} on {c.branch}") for c in cells]
        yield from _filter_by_prefix(found, current)
    elif len(parts) == 3 and phases:
        stem = prefix + ":".join(parts[:2])
        known = features[parts[0]].cells if parts[0] in features else ()
        steps = next((c.task_phases for c in known if c.name == parts[1]), tuple(Phase))
        yield from _filter_by_prefix([(f"{stem}:{phase}", "") for phase in steps], current)


def _filter_by_prefix(found: Sequence[tuple[str, str]], current: str) -> list[tuple[str, str]]:
    return [(name, told) for name, told in found if name.startswith(current)]
