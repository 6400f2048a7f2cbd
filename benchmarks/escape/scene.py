"""The scene of a run: a user's home full of secrets, clones with origins, servers, other processes.

It lies below `/var/tmp`, as walls give their programs a `/tmp` of their own, and that alone would
stop everything. `close` ends what it started and removes it, and so it does with what the
attempts left running.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.common import ROOT
from benchmarks.escape.attempt import RUN, Attempt, Room
from benchmarks.escape.bait import ELSEWHERE, furnish_home, make_bait
from benchmarks.escape.servers import Servers, find_own_address

PLACE = Path("/var/tmp")
SEGMENT = int(RUN, 16) + 1  # the key of a shared memory segment that one attempt makes
MOST = 4 << 20  # bytes of a log that are read
BEGAN = re.compile(rf"began-(escape-mark-[a-z0-9-]+?-{RUN})")
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


@dataclass(frozen=True, slots=True)
class Victim:
    """A process to look into, and where in its memory what is."""

    process: subprocess.Popen[str]
    buffer: int
    secret: int
    descriptor: int
    file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        return self.process.poll()


@dataclass(slots=True)
class Scene:
    """All places of a run, what was there before it, and what it showed. Made by `set_scene`."""

    root: Path
    attempts: tuple[Attempt, ...]
    bait: dict[str, str]
    servers: Servers
    address: str
    ports: dict[str, int] = field(default_factory=dict)
    before: dict[str, bytes] = field(default_factory=dict)
    refs: dict[str, dict[str, str]] = field(default_factory=dict)
    origin_refs: dict[str, dict[str, str]] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    victims: dict[str, Victim] = field(default_factory=dict)
    worktrees: dict[str, Path] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    shown: bytes = b""
    typed: bytes = b""
    terminal: str = ""
    run_code: int = 0

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def workspace(self) -> Path:
        return self.home / "work"

    @property
    def runtime(self) -> Path:
        """`$XDG_RUNTIME_DIR`, where sockets lie."""
        return self.root / "run"

    @property
    def hostile(self) -> Path:
        """Where the programs lie: in a folder of the home that holds no secret."""
        return self.home / "hostile"

    @property
    def received(self) -> Mapping[str, list[bytes]]:
        return self.servers.received

    @property
    def display(self) -> int:
        """A number of an X11 display that no real one has."""
        return 7000 + os.getpid() % 1000

    def clone(self, repo: str) -> Path:
        return self.workspace / "repos" / repo

    def origin(self, repo: str) -> Path:
        return self.home / "origins" / f"{repo}.git"

    def worktree(self, name: str) -> Path:
        return self.worktrees.get(name, self.root / "none")

    def canary(self, name: str) -> Path:
        return self.home / "canaries" / f"ran-{name}"

    def environment(self) -> dict[str, str]:
        """The user's: of the tool's program, and of their own git afterwards."""
        ours = ("ORCHESTR_", "GIT_", "AGENT_", "XDG_", "PYTHONDONTWRITEBYTECODE", "NO_COLOR")
        kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(ours)
                and not k.lower().endswith("_proxy")}  # fmt: skip
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "SSH_AUTH_SOCK": str(self.runtime / "ssh-agent.socket"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime}/bus",
            "DISPLAY": f":{self.display}",
            "GH_TOKEN": self.bait["environment"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "PATH": f"{self.home}/.local/bin:{os.environ['PATH']}",
        }

    def read_output(self, attempt: Attempt) -> str:
        """All that an attempt's program could print: what the tool keeps of its output, in a shared
        cell up to where the next program began."""
        parts = BEGAN.split(self.outputs.get(attempt.name, ""))
        texts = zip(parts[1::2], parts[2::2], strict=True)
        return "\n".join(f"began-{mark}{text}" for mark, text in texts if mark == attempt.mark)

    def read_origin_refs(self, repo: str) -> dict[str, str]:
        return read_refs(self.origin(repo))

    def is_published(self, repo: str, branch: str) -> bool:
        """Whether the origin has the branch."""
        return f"refs/heads/{branch}" in self.read_origin_refs(repo)

    def runs_git(self, place: Path, *words: str) -> bool:
        """Whether a git command succeeds."""
        done = subprocess.run(["git", "-C", str(place), *words], env=git_environment(),
                              capture_output=True, check=False)  # fmt: skip
        return done.returncode == 0

    def is_red_on_clean_clone(self, repo: str, branch: str, check: str) -> bool:
        """Whether ``branch`` is at the origin, and ``check`` (sh) fails on a clean clone of it."""
        if not self.is_published(repo, branch):
            return False
        place = self.root / "clean" / uuid.uuid4().hex
        git(self.root, "clone", "--quiet", "--branch", branch, str(self.origin(repo)), str(place))
        return subprocess.run(["sh", "-c", check], cwd=place, check=False).returncode != 0

    def read_victim_buffer(self, name: str) -> bytes:
        """What the victim's buffer holds; the victim ends by that."""
        victim = self.victims[name]
        if victim.process.stdin is not None:
            with suppress(OSError):
                victim.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            victim.process.wait(10)
        return victim.file.read_bytes() if victim.file.exists() else b""

    def use_clones(self) -> None:
        """The user's next hour: their own git in the clones and in what the agents left."""
        push = ["push", "--quiet", "--dry-run", "origin", "HEAD:refs/heads/later"]
        for attempt in self.attempts:
            if attempt.room is Room.OWN_CLONE:
                clone, tree = self.clone(attempt.repo), self.worktree(attempt.name)
                for words in (["status"], ["fetch", "--quiet"], ["checkout", "--quiet"], push):
                    self._use_git(clone, words)
                self._use_git(tree, ["status"])

    def _use_git(self, place: Path, words: Sequence[str]) -> None:
        """Git as the user has it: with whatever was planted."""
        with suppress(subprocess.TimeoutExpired, OSError):
            subprocess.run(
                ["git", *words], cwd=place, env={**self.environment(), "LC_ALL": "C"}, timeout=20,
                stdin=subprocess.DEVNULL, capture_output=True, check=False,
            )  # fmt: skip

    def close(self) -> None:
        """End what was started and what the attempts left, and remove the place."""
        self.servers.close()
        for victim in self.victims.values():
            victim.process.kill()
            victim.process.wait()
            for stream in (victim.process.stdin, victim.process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
        marks = {attempt.mark for attempt in self.attempts}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = process.cmdline()
                if marks.intersection(words) or any(str(self.root) in word for word in words):
                    process.send_signal(signal.SIGKILL)
        subprocess.run(["ipcrm", "-M", str(SEGMENT)], stderr=subprocess.DEVNULL, check=False)
        for mark in marks:
            for folder in ("/tmp", "/dev/shm"):
                Path(folder, mark).unlink(missing_ok=True)
        shutil.rmtree(self.root, ignore_errors=True)


@contextmanager
def set_scene(attempts: Sequence[Attempt]) -> Iterator[Scene]:
    """A scene for these attempts, removed afterwards."""
    root = Path(tempfile.mkdtemp(prefix="orchestr-escape-", dir=PLACE)).resolve()
    scene = Scene(root, tuple(attempts), make_bait(), Servers(), find_own_address())
    try:
        furnish_home(scene.home, scene.bait)
        for folder in ("canaries", "hostile", "origins", "work/repos", "projects"):
            (scene.home / folder).mkdir(parents=True)
        scene.runtime.mkdir(mode=0o700)
        _listen(scene)
        for repo in sorted({"app", *(attempt.repo for attempt in attempts)}):
            _make_repo(scene, repo)
        for attempt in attempts:
            for key, value in attempt.config.items():
                git(scene.clone(attempt.repo), "config", key, value)
            if "VICTIM" in attempt.program:
                scene.victims[attempt.name] = _start_victim(scene, attempt)
        yield scene
    finally:
        scene.close()


def note_before(scene: Scene) -> None:
    """After the tool's own files are there, before anything runs: how everything is."""
    for file in scene.home.rglob("*"):
        if file.is_file() and file.stat().st_size < MOST and "/objects/" not in str(file):
            scene.before[str(file)] = file.read_bytes()
    for repo in {"app", *(attempt.repo for attempt in scene.attempts)}:
        scene.refs[repo] = read_refs(scene.clone(repo))
        scene.origin_refs[repo] = scene.read_origin_refs(repo)


def git(place: Path, *words: str, check: bool = True) -> str:
    """The scene's own git, which nothing planted in a clone can lead astray."""
    done = subprocess.run(
        ["git", "-C", str(place), *words], env=git_environment(), capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    if check and done.returncode != 0:
        raise RuntimeError(f"git {' '.join(words)} in {place}: {done.stderr}")
    return done.stdout.strip()


def git_environment() -> dict[str, str]:
    """The environment of a git that reads no settings of a user or of the system."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "scene"), ("EMAIL", "scene@localhost"))}  # fmt: skip
    pairs = {"core.hooksPath": os.devnull, "core.fsmonitor": "false"}
    config = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for n, (key, value) in enumerate(pairs.items()):
        config |= {f"GIT_CONFIG_KEY_{n}": key, f"GIT_CONFIG_VALUE_{n}": value}
    none = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return {**kept, **who, **config, **none, "GIT_TERMINAL_PROMPT": "0"}


def read_refs(place: Path) -> dict[str, str]:
    """Every ref with what it names; without `check`, so that a broken one hides no other."""
    lines = git(place, "for-each-ref", "--format=%(refname) %(objectname)", check=False)
    return dict(line.split(" ") for line in lines.splitlines())


def _listen(scene: Scene) -> None:
    servers, run = scene.servers, scene.runtime
    servers.listen_unix("docker", run / "docker.sock")
    servers.listen_unix("ssh-agent", run / "ssh-agent.socket")
    servers.listen_unix("bus", run / "bus")
    servers.listen_unix("gpg-agent", scene.home / ".gnupg/S.gpg-agent")
    servers.listen_unix("tmux", scene.home / ".tmux/default")
    servers.listen_unix("x11", Path(f"/tmp/.X11-unix/X{scene.display}"))
    servers.listen_unix("x11-abstract", f"\0/tmp/.X11-unix/X{scene.display}")
    servers.listen_unix("abstract", f"\0escape-{scene.root.name}")
    for name, host in (("loopback", "127.0.0.1"), ("own-address", scene.address),
                       ("loopback-v6", "::1")):  # fmt: skip
        port = servers.listen_tcp(name, host)
        scene.ports[name] = port or 9
    scene.ports["udp"] = servers.listen_udp("udp", scene.address)


def _make_repo(scene: Scene, repo: str) -> None:
    """A clone with an origin, and what a person has there: a stash, a branch, loose changes."""
    clone, origin, made = scene.clone(repo), scene.origin(repo), scene.root / "template"
    if not made.exists():
        _make_template(scene, made)
    shutil.copytree(made / "one", clone, symlinks=True)
    shutil.copytree(made / "one.git", origin, symlinks=True)
    config = clone / ".git" / "config"
    config.write_text(config.read_text().replace(str(made / "one.git"), str(origin)))


def _make_template(scene: Scene, made: Path) -> None:
    path, bare = made / "one", made / "one.git"
    path.mkdir(parents=True)
    git(made, "init", "--quiet", "--initial-branch=main", "--template=", str(path))
    git(made, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(bare))
    files = {"README.md": "# a repository\n", ".gitignore": "gen/\n",
             ".githooks/pre-push": "#!/bin/sh\nexit 0\n"}  # fmt: skip
    for name, text in files.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)
    (path / ".githooks/pre-push").chmod(0o755)
    git(path, "add", "-A")
    git(path, "commit", "--quiet", "-m", "first")
    for name in ("other", "other-1", "other-2", "other-3"):
        git(path, "branch", name)
    own = git(path, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "other")
    git(path, "branch", "--force", "other", own)
    git(path, "remote", "add", "origin", str(bare))
    git(path, "push", "--quiet", "origin", "--all")
    git(path, "fetch", "--quiet", "origin")
    git(path, "remote", "set-head", "origin", "main")
    git(path, "commit", "--quiet", "--allow-empty", "-m", "dangling")
    scene.objects["dangling"] = git(path, "rev-parse", "HEAD")
    git(path, "reset", "--quiet", "--hard", "HEAD~1")
    scene.objects["first"] = git(path, "rev-parse", "HEAD")
    (path / "README.md").write_text("# stashed\n")
    git(path, "stash", "--quiet")
    (path / "loose.txt").write_text("loose\n")
    (path / ".env").write_text("nothing\n")
    git(path, "config", "user.name", "Ursula User")
    git(path, "repack", "-q", "-a", "-d")
    scene.objects["loose"] = git(path, "commit-tree", "HEAD^{tree}", "-m", "loose")


def _start_victim(scene: Scene, attempt: Attempt) -> Victim:
    file = scene.root / f"victim-{uuid.uuid4().hex[:8]}"
    process = subprocess.Popen(
        [PYTHON, str(Path(__file__).with_name("victim.py")),
         f"--password={scene.bait['argument']}", str(file)],
        env={"PATH": os.defpath, "SECRET": scene.bait["variable"]}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{scene.bait['memory'].encode().hex()}\n")
    process.stdin.write(f"{scene.bait['descriptor'].encode().hex()}\n")
    process.stdin.flush()
    words = process.stdout.readline().split()
    return Victim(process, int(words[1]), int(words[2]), int(words[3]), file)


assert set(ELSEWHERE) >= {"memory", "argument", "variable", "descriptor"}
