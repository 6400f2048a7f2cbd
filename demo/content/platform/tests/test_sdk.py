"""The Go SDK wraps for every key type that the service unwraps, and for no other."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Sdk(unittest.TestCase):
    def test_sdk_and_service_know_the_same_algorithms(self) -> None:
        service = (ROOT / "service" / "kas" / "algorithms.go").read_text()
        served = set(re.findall(r'KeyType = "([^"]+)"', service))
        cases = re.findall(r"^\tcase (.*):$", (ROOT / "sdk" / "wrap.go").read_text(), re.MULTILINE)
        wrapped = set(re.findall(r'"([^"]+)"', " ".join(cases)))
        self.assertEqual(wrapped, served)


if __name__ == "__main__":
    unittest.main()
