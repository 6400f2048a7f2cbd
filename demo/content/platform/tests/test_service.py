"""The service names and unwraps every algorithm of the stub."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KAS = ROOT / "service" / "kas"


class Service(unittest.TestCase):
    def test_every_algorithm_is_served(self) -> None:
        stub = (ROOT / "gen" / "go" / "objects.go").read_text()
        algorithms = (KAS / "algorithms.go").read_text()
        rewrap = (KAS / "rewrap.go").read_text()
        cases = dict(re.findall(r"case objects\.(\w+):\s+return (\w+), nil", algorithms))
        for name in re.findall(r"(KAS_PUBLIC_KEY_ALG_ENUM_\w+) KasPublicKeyAlgEnum", stub):
            if name.endswith("_UNSPECIFIED"):
                continue
            with self.subTest(name):
                self.assertIn(name, cases, "no case in convertAlgEnum2Simple")
                self.assertRegex(algorithms, rf'\b{cases[name]}\s+KeyType = "')
                self.assertRegex(rewrap, rf"case .*\b{cases[name]}\b")

    def test_no_case_without_a_stub(self) -> None:
        stub = (ROOT / "gen" / "go" / "objects.go").read_text()
        for name in re.findall(r"case objects\.(\w+):", (KAS / "algorithms.go").read_text()):
            self.assertIn(f"{name} KasPublicKeyAlgEnum", stub)


if __name__ == "__main__":
    unittest.main()
