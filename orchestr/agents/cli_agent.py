"""What the adapters to coding agent CLIs have in common: finding, versions, judging a stream.

An adapter to one of them is `prepare_launch`, `translate_record` and a few words; the judgement is
here and is the same for all: exit 0 alone is no success, and a stream without a result is a
failure.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from orchestr.agents.base import AgentLaunch, AgentRequest, AgentVerdict
from orchestr.agents.environment import QUIET, agent_env
from orchestr.agents.events import Event, Parse, Record, UsageLimit, make_line_parser
from orchestr.agents.limits import find_limit
from orchestr.agents.mcp import list_hosts
from orchestr.agents.repo_settings import find_settings
from orchestr.agents.session_records import COPY, SessionMeter, SessionRecords
from orchestr.agents.trouble import Trouble, find_trouble
from orchestr.agents.usage import MeasureFiles, TokenPrices, UsageTally, tally_transcript
from orchestr.errors import CorruptState, OrchestrError
from orchestr.files import read_json, write_json
from orchestr.process.run import run_command
from orchestr.sandbox.config_copies import ConfigFolder
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.settings.trust_words import EVERYTHING, trusts
from orchestr.supervisor.client import ExitReason, ExitRecord, read_launch

GUIDES = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", ".claude/CLAUDE.md")
READ_FIRST = "This repository keeps instructions for you: read {} first."
NO_CHANGE = "ORCHESTR no_change_needed:"
AMEND = "ORCHESTR amend "
PATIENCE = 30.0  # seconds for `--version`; the slowest of them needs 3
_NOTING = threading.Lock()  # versions that are asked at once are all noted
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?[\w.+-]*")


class CliAgent(ABC):
    """A coding agent CLI with an event stream. ``own`` are patterns of its own variables."""

    kind: str
    program: str
    own: tuple[str, ...]
    without: tuple[str, ...] = ()
    speaks: str = ""  # the kind whose words for trouble it has; empty: its own
    lost: str = "no (conversation|rollout|session) found|session not found"
    tells: bool = False  # whether its stream reports costs
    repo_files: tuple[str, ...] = ()  # its settings in a repository, which could run programs
    part_files: tuple[tuple[str, str], ...] = ()  # of these: what can be trusted alone, by word
    inner_parts: tuple[tuple[str, str], ...] = ()  # the same, of what is in one of them
    guides: tuple[str, ...] = ()  # the names of the guides that it reads there
    ends: tuple[str, ...] = ("result",)  # its last records, see `AgentLaunch`
    goes_on: tuple[str, ...] = ()
    good_exits: tuple[int, ...] = (0,)  # with a good result
    live: bool = True  # whether what it takes is known while it works
    tells_while_working: bool = False  # whether its stream alone says so
    records: SessionRecords | None = None  # the files in which it keeps its sessions
    patience: float = PATIENCE

    def __init__(self, settings: AgentSettings, workspace: WorkspaceSettings) -> None:
        self.name = settings.name
        self.paid = settings.paid is not False
        self.settings = settings
        self.root = workspace.root
        self._versions = workspace.state / "agents.json"
        self.prices = read_prices(settings)
        self.tells_cost = self.tells or self.prices is not None
        self._parse: Parse = make_line_parser(self.translate_record)
        self._version: str | None = None
        self._is_version_asked = False

    # ---- what an adapter says ----------------------------------------------------------------

    @abstractmethod
    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """See `Agent.prepare_launch`."""

    @staticmethod
    @abstractmethod
    def translate_record(record: Record) -> tuple[Event, ...]:
        """Our events of one of its own. May raise what wrong types raise."""

    def find_config(self, environ: Mapping[str, str]) -> tuple[ConfigFolder, ...]:
        """The folders of its settings and login, of which it gets a copy in our sandbox."""
        return ()

    def limit_from_exit(self, end: ExitRecord) -> UsageLimit | None:
        """The limit that an exit code stands for, where the stream reports none."""
        return None

    def is_passing_exit(self, end: ExitRecord) -> bool:
        """Whether an exit code stands for a server's trouble, where the stream reports none."""
        return False

    def locate_settings(self, environ: Mapping[str, str]) -> Path:
        """Its settings folder, by the variables that it starts with."""
        return Path(environ.get("HOME", "/"))

    def measure_sessions(self, folder: Path) -> MeasureFiles | None:
        """What its own records say of the sessions of an agent that was started in ``folder``;
        None for a kind that keeps none."""
        if self.records is None:
            return None
        try:
            environ = read_launch(folder).env
        except (OSError, ValueError):
            environ = {}
        homes = (folder / COPY, self.locate_settings(environ))
        return SessionMeter(self.records, homes).measure

    def read_silent_trouble(self, folder: Path, end: ExitRecord) -> str:
        """What files of its own in the attempt's ``folder`` say of a wait without output."""
        return ""

    # ---- what is the same for all ------------------------------------------------------------

    def build_environment(self, request: AgentRequest, more: Mapping[str, str]) -> dict[str, str]:
        """Ours for all, ``more`` of the adapter, the settings' and the cell's, in this order."""
        passed = (*self.settings.pass_env, *request.passed_variables)
        own = agent_env(os.environ, self.own, without=self.without, pass_env=passed)
        return {
            **own,
            **QUIET,
            **more,
            **self.settings.env,
            **request.variables,
        }

    def make_launch(
        self, request: AgentRequest, argv: list[str], env: Mapping[str, str], *, resume: str
    ) -> AgentLaunch:
        """The launch of a program that reads its prompt from stdin and prints JSON lines.

        Adds `--model`, the session behind the option ``resume``, and the words of the settings.
        """
        if request.model:
            argv = [*argv, "--model", request.model]
        if request.session:
            argv = [*argv, resume, request.session]
        argv = [*argv, *self.settings.args, *request.args]
        return self.describe_launch(request, argv, env)

    def list_ignored(self, request: AgentRequest) -> tuple[str, ...]:
        """Which of the repository's settings and guides it does not obey."""
        if request.trust:
            return ()
        _, ignored = self.sort_settings(request.worktree, request.trusted)
        guides = (f"{name} (changed by this feature)" for name in self.find_doubted_guides(request))
        return (*ignored, *guides)

    def sort_settings(
        self, checkout: Path, trust: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The settings of its own that are in a checkout: which it obeys, and which it ignores.
        ``trust`` is that of `[repos.X]`."""
        known, obeyed, ignored = dict(self.part_files), [], []
        for name in find_settings(checkout, self.repo_files):
            inner = [part for file, part in self.inner_parts if file == name and part in trust]
            if trusts(trust, known.get(name, EVERYTHING)):
                obeyed.append(name)
            elif inner:
                obeyed.append(f"{name} (its {', '.join(inner)})")
                ignored.append(f"{name} (all but its {', '.join(inner)})")
            else:
                ignored.append(name)
        return tuple(obeyed), tuple(ignored)

    def find_doubted_guides(self, request: AgentRequest) -> list[str]:
        """The guides that it would read and this feature has changed; none where all is trusted."""
        changed = () if request.obeys("guides") else request.changed_guides
        return [name for name in changed if Path(name).name in self.guides]

    def list_guides(self, request: AgentRequest) -> list[str]:
        """The repository's guides for agents that it is to read: those that are there, without
        those that this feature has changed."""
        changed = () if request.obeys("guides") else request.changed_guides
        return [name for name in GUIDES
                if (request.worktree / name).is_file() and name not in changed]  # fmt: skip

    def describe_launch(
        self, request: AgentRequest, argv: list[str], env: Mapping[str, str]
    ) -> AgentLaunch:
        """The launch of a finished command."""
        return AgentLaunch(
            tuple(argv),
            self.build_environment(request, env),
            stdin=request.prompt,
            format="json",
            config=self.find_config({**os.environ, **self.settings.env}) if request.walled else (),
            ignored=self.list_ignored(request),
            hosts=list_hosts(request.mcp),
            ends=self.ends,
            goes_on=self.goes_on,
        )

    @staticmethod
    def make_config_folder(
        folder: Path,
        copies: tuple[str, ...],
        logins: tuple[str, ...] = (),
        shown: tuple[str, ...] = (),
    ) -> ConfigFolder:
        """A settings folder by the names of what may be in it."""
        places = [tuple((folder / name, name) for name in names)
                  for names in (copies, logins, shown)]  # fmt: skip
        return ConfigFolder(folder, *places)

    def explain_own_sandbox(self) -> str | None:
        """Why the sandbox of its own cannot start here, None where it can or it has none. Runs the
        program: asked once before a run without our wall."""
        return None

    @property
    def resolved_program(self) -> str:
        """The program: a name, or a path (one with a slash counts from the workspace)."""
        word = self.settings.program or self.program
        if "/" in word and not word.startswith(("/", "~")):
            return str(self.root / word)
        return str(Path(word).expanduser()) if word.startswith("~") else word

    def parse_line(self, line: bytes) -> tuple[Event, ...]:
        """See `Agent.parse_line`."""
        return self._parse(line)

    def judge_end(self, end: ExitRecord, transcript: Path, since: int = 0) -> AgentVerdict:
        """See `Agent.judge_end`: a good result event, and exit 0 unless killed after it."""
        return self.judge_with(
            self.parse_line, end, transcript, since, self.measure_sessions(transcript.parent)
        )

    def judge_with(
        self,
        parse: Parse,
        end: ExitRecord,
        transcript: Path,
        since: int,
        files: MeasureFiles | None = None,
    ) -> AgentVerdict:
        """`judge_end` by the events of ``parse``, for a program that speaks as this kind does;
        ``files`` are its own records of its sessions."""
        sums = tally_transcript(transcript, parse, since=since, prices=self.prices, files=files)
        verdict = AgentVerdict(
            False,
            cost_usd=sums.cost_usd,
            cost_known_usd=round(sums.known_usd, 6),
            tokens=sums.total_usage if sums.total_usage else None,
            session_id=sums.session_id,
        )
        verdict = replace(verdict, refused=tuple(sums.refused))
        result = sums.result
        died = end.signal is not None or end.code not in self.good_exits
        if result is not None and result.ok and (not died or end.reason == "after_result"):
            said = result.text or sums.last
            no_change, amend = text_after_keyword(NO_CHANGE, said), text_after_keyword(AMEND, said)
            return replace(verdict, ok=True, no_change=no_change, amend=amend)
        why = failure_reason(end, sums)
        if result is not None and result.ok:
            return replace(verdict, reason=why)
        return self._judge_failure(verdict, why, sums, end, transcript.parent)

    def _judge_failure(
        self, verdict: AgentVerdict, why: str, sums: UsageTally, end: ExitRecord, folder: Path
    ) -> AgentVerdict:
        """What a bad end is, by its words. A time that they name wins over an exit code, and so
        does what is final. A limit without a time that only a line of output speaks of is passing
        trouble, which is not waited for without end: the line may be of a test."""
        now = datetime.now().astimezone()
        silent = sums.retrying if end.reason == ExitReason.IDLE else ""
        silent = f"{silent} {self.read_silent_trouble(folder, end)}".strip()
        words = f"{why} {silent}".strip()
        kind = self.speaks or self.kind
        trouble = find_trouble(words, kind)
        final = trouble is Trouble.FINAL
        by_code = None if final else self.limit_from_exit(end)
        named = find_limit(words, now, kind) or by_code
        limit = sums.limit or named
        doubted = (limit is named is not None and named.until is None and by_code is None
                   and not silent and is_noted_only(sums))  # fmt: skip
        if limit is not None and not doubted:
            until = limit.until or (named.until if named is not None else None)
            return replace(verdict, reason=why, limited=True, limited_until=until)
        lost = re.search(self.lost, f"{why} {sums.note}", re.IGNORECASE) is not None
        passing = doubted or trouble is Trouble.PASSING or self.is_passing_exit(end)
        return replace(
            verdict,
            reason=why,
            session_lost=lost,
            passing=passing and not lost and not final,
            final=final,
        )

    def read_answer(self, transcript: Path, since: int = 0) -> str:
        """See `Agent.read_answer`: the result's text, else the last message."""
        sums = tally_transcript(transcript, self.parse_line, since=since, prices=self.prices)
        return (sums.result.text if sums.result is not None else "") or sums.last

    def explain_unusable(self) -> str | None:
        """The program must be found, and say its version: a half installed one does not."""
        if self._program_path is None:
            return f"program {self.resolved_program!r} is not on PATH"
        if self.program_version() is None:
            return f"`{self.resolved_program} --version` fails"
        return None

    def program_version(self) -> str | None:
        """What `--version` says, asked once for each installed program."""
        # No `cached_property`: before Python 3.12 it asks for all agents one after the other.
        if not self._is_version_asked:
            self._version, self._is_version_asked = self._look_up_version(), True
        return self._version

    @cached_property
    def _program_path(self) -> str | None:
        path = self.settings.env.get("PATH", os.environ.get("PATH"))
        return shutil.which(self.resolved_program, path=path)

    def _look_up_version(self) -> str | None:
        """Kept by the program's path, time and size: the slowest takes 3 s to say it."""
        if self._program_path is None:
            return None
        try:
            stat = Path(self._program_path).stat()
            stamp = [stat.st_mtime_ns, stat.st_size]
            known = read_json(self._versions) or {}
        except (OSError, CorruptState):
            return None
        noted = known.get(self._program_path) if isinstance(known, dict) else None
        if isinstance(noted, list) and noted[:2] == stamp:
            return str(noted[2])
        version = self._ask_version(self._program_path)
        if version is not None:
            with _NOTING, suppress(OSError, CorruptState):
                known = read_json(self._versions) or {}
                write_json(self._versions, {**known, self._program_path: [*stamp, version]})
        return version

    def _ask_version(self, program: str) -> str | None:
        env = {**agent_env(os.environ, ()), **QUIET, **self.settings.env}
        try:
            done = run_command(
                (program, "--version"), cwd=Path("/"), env=env, timeout=self.patience, check=False
            )
        except OrchestrError:
            return None
        found = _VERSION.search(done.text)
        return found[0].rstrip(".") if found and done.code == 0 else None


def failure_reason(end: ExitRecord, sums: UsageTally) -> str:
    """Why a start counts as failed, in the agent's own words where it has any."""
    code = f"killed by signal {end.signal}" if end.signal else f"exit {end.code}"
    result = sums.result
    if result is not None and not result.ok:
        said = result.text or sums.error
        return f"{one_line(said)} ({code})" if said else f"it ended with an error ({code})"
    if sums.error:
        return f"{one_line(sums.error)} ({code})"
    if result is not None:
        return f"{code} after a result that said success"
    said = f": {one_line(sums.note)}" if sums.note else ""
    return f"{code} without a result{said}"


def is_noted_only(sums: UsageTally) -> bool:
    """Whether nothing but lines of output, which are no events, say why a start failed."""
    return sums.result is None and not sums.error


def one_line(text: str) -> str:
    """The text on one line, not too long for a reason."""
    return " ".join(text.split())[:300]


def text_after_keyword(word: str, text: str) -> str | None:
    """The text behind ``word`` at the start of the last line that is not empty, or None."""
    lines = [line.strip().strip("`*") for line in text.splitlines() if line.strip()]
    if not lines or not lines[-1].startswith(word):
        return None
    return lines[-1].removeprefix(word).strip() or None


def read_prices(settings: AgentSettings) -> TokenPrices | None:
    """The price table of the settings, None when it is not given."""
    if settings.price_input_usd is None or settings.price_output_usd is None:
        return None
    return TokenPrices(
        settings.price_input_usd, settings.price_output_usd, settings.price_cached_usd
    )
