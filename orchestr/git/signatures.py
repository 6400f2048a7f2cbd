"""Detached signatures of files, with the key that git signs with (`user.signingKey`, `gpg.format`).

Owns the choice of the key and of who is allowed, both as git has them, and the command lines of
`ssh-keygen -Y` and `gpg`. A signature of ssh is for the namespace `orchestr`, so that it can never
stand for a commit's. No network. Nothing here asks: a locked key is an error.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.git.errors import output_tail
from orchestr.git.runner import YES_OR_NO, GitPath
from orchestr.process.run import CompletedCommand, run_command

NAMESPACE = "orchestr"
TIMEOUT = 60.0  # s; a card may want to be touched
SSH_HEAD = b"-----BEGIN SSH SIGNATURE-----"
ALLOWED = "gpg.ssh.allowedSignersFile"


class CannotSign(OrchestrError):
    """There is a key, and it does not sign now."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """``form`` is ssh or openpgp. ``key``: a path, an id, or for ssh a public key in words."""

    form: str
    key: str
    program: str

    @property
    def label(self) -> str:
        """For people: the path or id; of a public key in words only its kind."""
        if self.form == "ssh" and self.key.startswith(("key::", "ssh-")):
            return f"{self.key.removeprefix('key::').split(' ')[0]} key of the ssh agent"
        return self.key


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """``signer``: by the allowed signers or the keyring; ``reason``: why it is not valid."""

    valid: bool
    signer: str = ""
    reason: str = ""


def find_signing_key(place: GitPath) -> SigningKey | None:
    """The key that git would sign with in ``place``; None without one, or of another format."""
    key = _read_setting(place, "user.signingKey")
    form = _read_setting(place, "gpg.format") or "openpgp"
    if not key or form not in ("ssh", "openpgp"):
        return None
    return SigningKey(form, key, _find_program(place, form))


def sign_data(key: SigningKey, data: bytes, place: GitPath) -> bytes:
    """The armoured signature of ``data``. Raises CannotSign."""
    if key.form == "openpgp":
        words = ("--batch", "--armor", "--local-user", key.key, "--detach-sign")
        return _take_signature(key, _run_program(place, key.program, *words, data=data))
    with _as_key_file(key.key) as (path, from_agent):
        more = ("-U",) if from_agent else ()
        words = ("-Y", "sign", "-n", NAMESPACE, "-f", path, *more)
        return _take_signature(key, _run_program(place, key.program, *words, data=data))


def check_signature(place: GitPath, data: bytes, signature: Path) -> SignatureVerdict:
    """Whether the file ``signature`` is one of ``data`` by a signer that git allows.

    For ssh these are the lines of `gpg.ssh.allowedSignersFile`, for gpg the keys of the keyring.
    """
    try:
        is_ssh = signature.read_bytes().lstrip().startswith(SSH_HEAD)
    except OSError as error:
        return SignatureVerdict(False, reason=f"it cannot be read: {error.strerror}")
    try:
        return (_check_ssh if is_ssh else _check_gpg)(place, data, signature)
    except OrchestrError as error:  # the program is missing, or gave no answer
        return SignatureVerdict(False, reason=error.message)


def _check_ssh(place: GitPath, data: bytes, signature: Path) -> SignatureVerdict:
    allowed = _read_setting(place, ALLOWED)
    if not allowed:
        return SignatureVerdict(
            False, reason=f"no signer is allowed: git config {ALLOWED} is not set"
        )
    program = _find_program(place, "ssh")
    near = ("-f", allowed, "-s", str(signature))
    found = _run_program(place, program, "-Y", "find-principals", *near)
    names = found.text.splitlines() if found.code == 0 else []
    if not names:
        return SignatureVerdict(False, reason=f"its key is not among those of {allowed}")
    words = ("-Y", "verify", "-n", NAMESPACE, "-I", names[0])
    done = _run_program(place, program, *words, *near, data=data)
    if done.code != 0:
        return SignatureVerdict(False, names[0], output_tail(done.err or done.out, 2))
    return SignatureVerdict(True, names[0])


def _check_gpg(place: GitPath, data: bytes, signature: Path) -> SignatureVerdict:
    words = ("--batch", "--status-fd=1", "--verify", str(signature), "-")
    done = _run_program(place, _find_program(place, "openpgp"), *words, data=data)
    good = re.search(r"^\[GNUPG:\] GOODSIG \S+ (.+)$", done.text, re.MULTILINE)
    if done.code == 0 and good is not None:
        return SignatureVerdict(True, good[1])
    return SignatureVerdict(False, reason=output_tail(done.err, 2))


@contextmanager
def _as_key_file(key: str) -> Iterator[tuple[str, bool]]:
    """The file of a key, and whether the ssh agent has to hold it: a key in words is public."""
    words = key.removeprefix("key::")
    if words == key and not key.startswith("ssh-"):
        yield key, False
        return
    with tempfile.NamedTemporaryFile("w", prefix="orchestr-key-", suffix=".pub") as stream:
        stream.write(f"{words}\n")
        stream.flush()
        yield stream.name, True


def _take_signature(key: SigningKey, done: CompletedCommand) -> bytes:
    if done.code == 0 and done.out:
        return done.out
    raise CannotSign(
        f"{key.program} cannot sign with {key.label}: {output_tail(done.err, 2)}",
        hint="unlock the key (ssh-add, gpg), or leave it out: orchestr attest FEATURE --unsigned",
    )


def _run_program(place: GitPath, program: str, *words: str, data: bytes = b"") -> CompletedCommand:
    return run_command((program, *words), cwd=place.path, env=os.environ, input=data,
                       timeout=TIMEOUT, check=False)  # fmt: skip


def _read_setting(place: GitPath, name: str) -> str:
    """A setting of git, `~` spelled out; "" where it is not set."""
    done = place.run_readonly("config", "--type=path", "--get", name, answers=YES_OR_NO)
    return done.text.strip()


def _find_program(place: GitPath, form: str) -> str:
    named = _read_setting(place, f"gpg.{form}.program")
    if form == "openpgp":
        named = named or _read_setting(place, "gpg.program")
    return named or {"ssh": "ssh-keygen", "openpgp": "gpg"}[form]
