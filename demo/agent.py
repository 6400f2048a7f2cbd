"""The scripted worker of the demo: plays a coding agent for the cells of specs/mlkem.yaml, and of
the small feature sdk-version that demo/drafter.py drafts.

It is run as any command agent is: cwd is the cell's worktree, the prompt is in
$ORCHESTR_PROMPT_FILE, what it may know of other cells in ORCHESTR_UPSTREAM_<CELL>_*. It
edits files for real, commits a part and leaves the rest to the engine, as agents do, and
verifies its inputs: without the code that its upstreams owe it ends with exit 1.

Every step first checks whether its work is done. So a second run on the same branch,
or a run after a kill between any two steps, ends in the same tree.

Switches: DEMO_PAUSE, seconds per step (0.3); DEMO_FAIL, a cell that gives up before its tests;
DEMO_CARELESS=1 (so in orchestr.toml), cells make a mistake at first: web-sdk forgets the union
type, which a check finds, platform-service the length of a key, which the reviewer finds; in
sdk-version java-sdk says no whole version, which shows in the audit only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ENUM = "KAS_PUBLIC_KEY_ALG_ENUM_MLKEM_768"
NAME = "mlkem:768"
CIPHERTEXT = 1088  # bytes of an ML-KEM-768 ciphertext (FIPS 203)
AUTHOR = ("Scripted Agent", "agent@example.invalid")


def setting(name: str) -> str:
    """A variable that the engine must have set."""
    value = os.environ.get(name, "")
    if not value:
        raise SystemExit(f"agent: {name} is not set; orchestr starts me, not a person")
    return value


def say(text: str) -> None:
    """One line of progress, then a short pause, so that a person can watch."""
    print(text, flush=True)
    time.sleep(float(os.environ.get("DEMO_PAUSE") or 0.3))


def give_up(why: str) -> SystemExit:
    print(f"agent: {why}", file=sys.stderr, flush=True)
    return SystemExit(1)


def careless() -> bool:
    """Whether to make the mistake: at first, and not in a repair."""
    return os.environ.get("DEMO_CARELESS") == "1" and not os.environ.get("ORCHESTR_ROUND")


def insert(path: str, after: str, new: str, *, unless: str) -> None:
    """Put `new` behind the last match of the pattern `after`, unless that text is there."""
    file = Path(path)
    text = file.read_text(encoding="utf-8")
    if unless in text:
        say(f"  {path}: already has {unless.strip()}")
        return
    matches = list(re.finditer(after, text, re.MULTILINE))
    if not matches:
        raise give_up(f"{path} looks different: nothing matches {after!r}")
    end = matches[-1].end()
    file.write_text(text[:end] + new + text[end:], encoding="utf-8")
    say(f"  edit {path}: {unless.strip()}")


def need(path: Path, text: str, owner: str) -> None:
    """The work of the cell `owner` must be in this file."""
    found = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text not in found:
        raise give_up(f"wrong base: {path} has no {text}, which {owner} should have brought")


def commit(subject: str, *paths: str) -> None:
    """Commit these paths, if anything in them changed. The rest is left to the engine.

    All of it is where git's data may only be read, as in codex's sandbox.
    """
    if subprocess.run(["git", "add", "--", *paths], check=False).returncode:
        say(f"  git's data cannot be written here: {', '.join(paths)} left to the engine")
        return
    staged = ["git", "diff", "--cached", "--quiet", "--", *paths]
    if subprocess.run(staged, check=False).returncode == 0:
        return
    key = re.match(r"[A-Z][A-Z0-9]*-\d+", setting("ORCHESTR_BRANCH"))
    mark = key.group() if key else setting("ORCHESTR_FEATURE")
    message = f"{subject} ({mark})\n\nCo-Authored-By: {AUTHOR[0]} <{AUTHOR[1]}>\n"
    identity = ["-c", f"user.name={AUTHOR[0]}", "-c", f"user.email={AUTHOR[1]}"]
    args = ["commit", "--quiet", "--message", message, "--", *paths]
    subprocess.run(["git", *identity, "-c", "commit.gpgSign=false", *args], check=True)
    say(f"  commit: {subject} ({mark})")


def run_tests(*parts: str) -> None:
    """The repository's own tests; red ends us."""
    if os.environ.get("DEMO_FAIL") == setting("ORCHESTR_CELL"):
        raise give_up("gave up before the tests, as DEMO_FAIL asks")
    script = "run.sh" if Path("run.sh").is_file() else "tests/run.sh"
    say(" ".join(["running", script, *parts]))
    done = subprocess.run(
        ["sh", script, *parts], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        raise give_up("the tests are red")
    say("tests are green")


def copy_stub(source: str, target: str) -> None:
    """Take a regenerated stub from the upstream's worktree, when it differs from ours."""
    theirs = Path(setting("ORCHESTR_UPSTREAM_PLATFORM_PROTO_WORKTREE")) / source
    need(theirs, ENUM, "platform-proto")
    head = os.environ.get("ORCHESTR_UPSTREAM_PLATFORM_PROTO_HEAD", "")[:12] or "its head"
    if Path(target).is_file() and Path(target).read_bytes() == theirs.read_bytes():
        say(f"  {target}: already that of platform-proto at {head}")
        return
    shutil.copyfile(theirs, target)
    say(f"  copy {source} of platform-proto at {head} to {target}")


def support(cli: str) -> None:
    """Wake the dormant tests: the SDK now says that it supports the feature."""
    last = r"^  mechanism-ec-curves-384-521\) exit 0 ;;\n"
    insert(cli, last, "  mechanism-mlkem) exit 0 ;;\n", unless="mechanism-mlkem)")


def platform_proto() -> None:
    """The enum, and the stubs made from it."""
    entry = r"^  KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP521R1 = \d+;\n"
    insert("proto/objects.proto", entry, f"  {ENUM} = 13;\n", unless=f"{ENUM} = 13;")
    commit("feat(policy): name ML-KEM-768 in KasPublicKeyAlgEnum", "proto/objects.proto")
    say("running tools/generate.py")
    subprocess.run([sys.executable, "tools/generate.py"], check=True)
    run_tests("proto")


def platform_service() -> None:
    """The service names the algorithm and unwraps for it."""
    need(Path("gen/go/objects.go"), ENUM, "platform-proto")
    algorithms = "service/kas/algorithms.go"
    insert(
        algorithms,
        r'^\tSECP521R1 KeyType = "[^"]+"\n',
        f'\tMLKEM768  KeyType = "{NAME}"\n',
        unless=f'KeyType = "{NAME}"',
    )
    insert(
        algorithms,
        r"^\t\treturn SECP521R1, nil\n",
        f"\tcase objects.{ENUM}:\n\t\treturn MLKEM768, nil\n",
        unless="return MLKEM768, nil",
    )
    commit("feat(kas): add the key type mlkem:768", algorithms)
    rewrap = "service/kas/rewrap.go"
    guard = (
        "\t\tif len(wrapped) < mlkem768Ciphertext {\n"
        '\t\t\treturn nil, fmt.Errorf("rewrap: %d bytes are too few for %q", len(wrapped), '
        "keyType)\n"
        "\t\t}\n"
    )
    insert(
        rewrap,
        r"^\t\treturn key\.DeriveAndUnwrap\(wrapped\)\n",
        "\tcase MLKEM768:\n"
        + ("" if careless() else guard)
        + "\t\tsecret, err := key.Decapsulate(wrapped[:mlkem768Ciphertext])\n"
        "\t\tif err != nil {\n"
        "\t\t\treturn nil, err\n"
        "\t\t}\n"
        "\t\treturn aesUnwrap(secret, wrapped[mlkem768Ciphertext:])\n",
        unless="case MLKEM768:",
    )
    insert(
        rewrap,
        r'^import "fmt"\n',
        "\n// mlkem768Ciphertext is the length of the ciphertext before the wrapped key (FIPS 203)."
        f"\nconst mlkem768Ciphertext = {CIPHERTEXT}\n",
        unless="const mlkem768Ciphertext",
    )
    if not careless():
        insert(rewrap, r"^\tcase MLKEM768:\n", guard, unless="len(wrapped) < mlkem768Ciphertext")
    run_tests("proto", "service")


def platform_go_sdk() -> None:
    """The Go SDK encapsulates, for the service of the cell below."""
    need(Path("gen/go/objects.go"), ENUM, "platform-proto")
    need(Path("service/kas/rewrap.go"), "case MLKEM768:", "platform-service")
    insert(
        "sdk/wrap.go",
        r'^\t\treturn KeyAccess\{Type: "ec-wrapped".*\n',
        f'\tcase "{NAME}":\n'
        f'\t\treturn KeyAccess{{Type: "wrapped", CiphertextBytes: {CIPHERTEXT}}}, nil\n',
        unless=f'case "{NAME}":',
    )
    commit("feat(sdk): wrap for mlkem:768", "sdk/wrap.go")
    support("sdk/cli.sh")
    run_tests()


def java_sdk() -> None:
    """The vendored stub, then KeyType."""
    stub, key_type = "sdk/proto/Objects.java", "sdk/src/KeyType.java"
    copy_stub("gen/java/Objects.java", stub)
    commit("chore(proto): take over the platform's stub with ML-KEM-768", stub)
    insert(
        key_type,
        r'^    SECP521R1\("[^"]+", "[^"]+", \d+\)(?=[,;])',
        f',\n    MLKEM_768("{NAME}", "wrapped", {CIPHERTEXT})',
        unless=f'MLKEM_768("{NAME}"',
    )
    insert(
        key_type,
        r"^                return SECP521R1;\n",
        f"            case {ENUM}:\n                return MLKEM_768;\n",
        unless="return MLKEM_768;",
    )
    support("sdk/cli.sh")
    run_tests()


def web_sdk() -> None:
    """The vendored stub, then the union type and the wraps."""
    stub, enums = "lib/gen/objects.js", "lib/src/crypto/enums.ts"
    copy_stub("gen/js/objects.js", stub)
    insert(
        enums,
        r"^    \{ algorithm: 'ec:secp521r1'.*\n",
        f"  [KasPublicKeyAlgEnum.{ENUM}]:\n"
        f"    {{ algorithm: '{NAME}', type: 'wrapped', ciphertextBytes: {CIPHERTEXT} }},\n",
        unless=f"algorithm: '{NAME}'",
    )
    commit("feat(crypto): know ML-KEM-768 by its number", stub, enums)
    support("lib/cli.sh")
    if careless():
        say("that should do, the tests can wait")
        return
    insert("lib/src/access.ts", r"^  \| 'ec:secp521r1'\n", f"  | '{NAME}'\n", unless=f"| '{NAME}'")
    run_tests()


PARTS: dict[str, Callable[[], None]] = {
    "platform-proto": platform_proto,
    "platform-service": platform_service,
    "platform-go-sdk": platform_go_sdk,
    "java-sdk": java_sdk,
    "web-sdk": web_sdk,
}


TEST_VERSION = '''"""Sleeps until an SDK says that it supports sdk-version."""

import re
import subprocess
import unittest

import tdfs


class Version(unittest.TestCase):
    def test_every_sdk_says_its_version(self) -> None:
        awake = [cli for cli in tdfs.clis() if tdfs.supports(cli, "sdk-version")]
        if not awake:
            self.skipTest("no SDK supports sdk-version")
        for cli in awake:
            with self.subTest(cli):
                said = subprocess.check_output(["sh", cli, "version"], text=True)
                self.assertTrue(re.fullmatch(r"[a-z-]+ \\d+\\.\\d+\\.\\d+\\n", said))
'''


def version_tests() -> None:
    """The dormant test of the feature sdk-version."""
    Path("xtest/test_version.py").write_text(TEST_VERSION, encoding="utf-8")
    insert(
        "xtest/tdfs.py",
        r'^    "mechanism-rsa-4096",\n',
        '    "sdk-version",\n',
        unless="sdk-version",
    )
    run_tests()


def sdk_version(cli: str) -> None:
    """An SDK's command line names its version."""
    last = r"^  mechanism-ec-curves-384-521\) exit 0 ;;\n"
    insert(cli, last, "  sdk-version) exit 0 ;;\n", unless="sdk-version)")
    name = setting("ORCHESTR_REPO")
    short, said = f'version) echo "{name} 1.0" ;;\n', f'version) echo "{name} 1.0.0" ;;\n'
    if name == "java-sdk" and careless():
        said = short
    insert(cli, r'^case "\$1" in\n', said, unless="version) echo")
    if not careless():
        file = Path(cli)
        file.write_text(file.read_text(encoding="utf-8").replace(short, said), encoding="utf-8")
    run_tests()


VERSION_PARTS: dict[str, Callable[[], None]] = {
    "tests": version_tests,
    "java-sdk": lambda: sdk_version("sdk/cli.sh"),
    "web-sdk": lambda: sdk_version("lib/cli.sh"),
}


HOMES = {"platform-proto": "proto", "platform-service": "service", "platform-go-sdk": "sdk",
         "java-sdk": "sdk", "web-sdk": "lib"}  # fmt: skip


def take_comments(cell: str) -> None:
    """What people wrote at the pull request becomes a line of the cell's notes."""
    asked = Path(setting("ORCHESTR_REPAIR_FILE")).read_text(encoding="utf-8")
    for said in re.findall(r"^> [^:\n]+: (.+)$", asked, re.MULTILINE):
        notes = Path(HOMES[cell], "NOTES.md")
        text = notes.read_text(encoding="utf-8") if notes.is_file() else "# Notes\n\n"
        if f"- {said}\n" not in text:
            notes.write_text(f"{text}- {said}\n", encoding="utf-8")
            say(f"  edit {notes}: {said}")


def main() -> int:
    cell = setting("ORCHESTR_CELL")
    prompt = Path(setting("ORCHESTR_PROMPT_FILE")).read_text(encoding="utf-8")
    if not prompt.strip():
        raise give_up("the prompt is empty")
    parts = VERSION_PARTS if setting("ORCHESTR_FEATURE") == "sdk-version" else PARTS
    play = parts.get(cell)
    if play is None:
        raise give_up(f"I have no script for the cell {cell}")
    repair = os.environ.get("ORCHESTR_REPAIR")
    say(f"read a prompt of {len(prompt.splitlines())} lines for {cell}")
    if repair:
        say(f"repair, round {setting('ORCHESTR_ROUND')}: the {repair} was red")
    say(f"working in {setting('ORCHESTR_REPO')} on {setting('ORCHESTR_BRANCH')}")
    play()
    if os.environ.get("ORCHESTR_REPAIR_FILE"):
        take_comments(cell)
    print(f"done: {cell}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
