"""Every algorithm of the vendored stub has its wrap, its type, and a wire format in the CLI."""

import re
import subprocess
import unittest
from pathlib import Path

LIB = Path(__file__).resolve().parent.parent / "lib"


class Algorithms(unittest.TestCase):
    def test_every_algorithm_is_wrapped(self) -> None:
        stub = (LIB / "gen" / "objects.js").read_text()
        enums = (LIB / "src" / "crypto" / "enums.ts").read_text()
        access = (LIB / "src" / "access.ts").read_text()
        wraps = dict(re.findall(r"Enum\.(\w+)\]:\s+\{ algorithm: '([^']+)'", enums))
        names = re.findall(r"(KAS_PUBLIC_KEY_ALG_ENUM_\w+): \d+", stub)
        self.assertEqual(set(wraps), {n for n in names if not n.endswith("_UNSPECIFIED")})
        self.assertEqual(set(wraps.values()), set(re.findall(r"\| '([^']+)'", access)))
        for algorithm in wraps.values():
            with self.subTest(algorithm):
                told = subprocess.check_output(["sh", str(LIB / "cli.sh"), "kao", algorithm])
                self.assertRegex(told.decode(), r"^(ec-)?wrapped \d+\n$")


if __name__ == "__main__":
    unittest.main()
