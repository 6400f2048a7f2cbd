"""Every algorithm of the vendored stub has its KeyType, and the CLI knows its wire format."""

import re
import subprocess
import unittest
from pathlib import Path

SDK = Path(__file__).resolve().parent.parent / "sdk"


class KeyTypes(unittest.TestCase):
    def test_every_algorithm_has_a_key_type(self) -> None:
        stub = (SDK / "proto" / "Objects.java").read_text()
        source = (SDK / "src" / "KeyType.java").read_text()
        cases = dict(re.findall(r"case (\w+):\s+return (\w+);", source))
        entries = dict(re.findall(r'^    (\w+)\("([^"]+)", ', source, re.MULTILINE))
        names = re.findall(r"(KAS_PUBLIC_KEY_ALG_ENUM_\w+)\(\d+\)", stub)
        self.assertEqual(set(cases), {n for n in names if not n.endswith("_UNSPECIFIED")})
        self.assertEqual(set(cases.values()), set(entries))
        for algorithm in entries.values():
            with self.subTest(algorithm):
                told = subprocess.check_output(["sh", str(SDK / "cli.sh"), "kao", algorithm])
                self.assertRegex(told.decode(), r"^(ec-)?wrapped \d+\n$")


if __name__ == "__main__":
    unittest.main()
