"""The SDKs under test, told by XTEST_SDKS: paths of their cli.sh, joined by colons."""

import os
import subprocess
from typing import Literal

feature_type = Literal[
    "mechanism-ec-curves-384-521",
    "mechanism-rsa-4096",
]


def clis() -> list[str]:
    return [path for path in os.environ.get("XTEST_SDKS", "").split(":") if path]


def supports(cli: str, feature: feature_type) -> bool:
    return subprocess.run(["sh", cli, "supports", feature], check=False).returncode == 0


def key_access(cli: str, algorithm: str) -> str:
    """TYPE and CIPHERTEXT_BYTES of the key access object that this SDK writes."""
    return subprocess.check_output(["sh", cli, "kao", algorithm], text=True).strip()
