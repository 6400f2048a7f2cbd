"""The stubs in gen/ are those of the proto, and no number is used twice."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Proto(unittest.TestCase):
    def test_stubs_are_up_to_date(self) -> None:
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / "generate.py"), "--check"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_numbers_are_unique(self) -> None:
        text = (ROOT / "proto" / "objects.proto").read_text()
        numbers = re.findall(r"KAS_PUBLIC_KEY_ALG_ENUM_\w+ = (\d+);", text)
        self.assertEqual(len(numbers), len(set(numbers)))


if __name__ == "__main__":
    unittest.main()
