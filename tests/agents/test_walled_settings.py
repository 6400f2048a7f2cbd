"""What an agent has of its user's settings behind the wall, and what of its own reaches the user.

The program is a script that speaks as claude does; its second start is a repair.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

from tests.conftest import write
from tests.e2e.conftest import MakeWorkspace
from tests.sandbox.walls import BEHIND_THE_WALL

CLAUDE = """\
#!{python}
import json, os, pathlib, socket, subprocess, sys
if sys.argv[1] == "--version":
    print("2.1.197 (Claude Code)")
    sys.exit()
config, home = pathlib.Path(os.environ["CLAUDE_CONFIG_DIR"]), pathlib.Path(os.environ["HOME"])
start = "--resume" in sys.argv
seen = {{}}
for top, _, names in os.walk(home):
    for name in names:
        path = pathlib.Path(top, name)
        seen[str(path.relative_to(home))] = path.read_text() if path.exists() else None
pathlib.Path(f"seen-{{start + 1}}.json").write_text(json.dumps(seen))
if not start:
    pathlib.Path("host.txt").write_text(socket.gethostname())
    for name, text in ({plants}).items():
        path = config / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_text(text)
        except OSError:
            pass
    (config / "CLAUDE.md").unlink()
    (config / "CLAUDE.md").symlink_to("{victim}")
    subprocess.run(["sh", "-c", "echo new > ~/.bashrc; echo x > ~/.zshrc"])
    renewed = config / "renewed"
    renewed.write_text(json.dumps({{"token": "new"}}))
    renewed.rename(config / ".credentials.json")
else:
    pathlib.Path("mended.txt").touch()
said = {{"type": "result", "subtype": "success", "is_error": False, "result": "done",
        "session_id": "0001"}}
print(json.dumps(said))
"""
HOME = {
    ".claude/settings.json": '{"model": "sonnet"}',
    ".claude/CLAUDE.md": "Be kind.",
    ".claude/hooks/note.sh": "#!/bin/sh\n",
    ".claude/skills/one/SKILL.md": "A skill.",
    ".claude/.credentials.json": '{"token": "old"}',
    ".claude/projects/other/0000.jsonl": "What a person has said elsewhere.",
    ".claude/history.jsonl": "What a person has typed.",
    ".claude.json": '{"theme": "dark"}',
    ".codex/auth.json": '{"token": "of codex"}',
    ".ssh/id_ed25519": "a key",
    ".bashrc": "old\n",
}
SESSION = "projects/here/0001.jsonl"
PLANTS = {
    "settings.json": '{"hooks": {"SessionStart": "evil"}}',
    "settings.local.json": '{"hooks": {}}',
    "commands/evil.md": "evil",
    "skills/one/SKILL.md": "evil",
    "hooks/note.sh": "evil",
    "hooks/more.sh": "evil",
    ".claude.json": '{"mcpServers": {"evil": {}}}',
    SESSION: "its own session",
}


@BEHIND_THE_WALL
def test_an_agents_settings_are_a_copy(workspace: MakeWorkspace, tmp_path: Path, wall: str) -> None:
    home, victim = tmp_path / "home", tmp_path / "victim"
    write(home, HOME)
    victim.write_text("mine")
    check = {"kind": "command", "name": "mended", "run": ["test", "-e", "mended.txt"]}
    program = tmp_path / "ws" / "claude.py"
    agents = {"default": "claude", "claude": {"kind": "claude", "program": str(program)}}
    ws = workspace(cells={"a": {"checks": [check]}}, settings={"agents": agents},
                   defaults={"agent": "claude"})  # fmt: skip
    program.write_text(CLAUDE.format(python=sys.executable, plants=PLANTS, victim=victim))
    program.chmod(0o755)
    ws.run("run", "demo", "--yes", code=0, env={"HOME": str(home)})

    first, second = (json.loads(ws.show("a", f"seen-{n}.json")) for n in (1, 2))
    hidden = (".claude.json", ".codex", ".ssh", ".claude/history.jsonl", ".claude/projects")
    assert first == {
        **{name: text for name, text in HOME.items() if not name.startswith(hidden)},
        ".claude/.claude.json": HOME[".claude.json"],
        ".claude.json": "",  # hidden: it lies in the folder for this program
    }
    # The repair goes on with its session; what it had planted is gone, its renewed login is not.
    assert second == {
        **first,
        ".claude/.credentials.json": '{"token": "new"}',
        f".claude/{SESSION}": PLANTS[SESSION],
    }
    after = {str(path.relative_to(home)): path.read_text()
             for path in home.rglob("*") if path.is_file()}  # fmt: skip
    assert after == {**HOME, ".claude/.credentials.json": '{"token": "new"}'}
    assert victim.read_text() == "mine"
    # gemini makes the key of its login from the host's name: another one would spoil the login.
    assert ws.show("a", "host.txt") == socket.gethostname()
    assert not list(ws.cell_dir("a").rglob(".credentials.json"))  # no key is left behind
