"""A certificate for the model server, and the authority that an agent has to trust for it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

HOST = "api.test"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
# The variables that name an authority to the agents: node and bun, then codex.
TRUSTED_BY = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CODEX_CA_CERTIFICATE")


def make_certificates(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The authority's file, and what a server of `HOST` needs."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    (folder / "extensions").write_text(
        f"subjectAltName = DNS:{HOST}\nbasicConstraints = critical, CA:FALSE\n"
    )
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions")
    for words in (
        ("req", "-x509", *KEY, "-subj", "/CN=an authority", "-keyout", "ca.key", "-out", "ca.pem"),
        ("req", *KEY, "-subj", f"/CN={HOST}", "-keyout", "key", "-out", "request"),
        ("x509", "-req", "-in", "request", *signed, "-days", "30", "-out", "certificate"),
    ):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return folder / "ca.pem", context
