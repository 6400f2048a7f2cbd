"""Dormant until an SDK supports mechanism-mlkem: what one writes, every other one reads."""

import unittest

import abac
import tdfs

MLKEM768_CIPHERTEXT = 1088  # bytes, FIPS 203; in front of the wrapped data key


class Mlkem(unittest.TestCase):
    def test_mlkem768_roundtrip(self) -> None:
        self.assertEqual(abac.kas_algorithms["mlkem:768"], 13)
        awake = [cli for cli in tdfs.clis() if tdfs.supports(cli, "mechanism-mlkem")]
        if not awake:
            self.skipTest("dormant: no SDK supports mechanism-mlkem yet")
        for cli in awake:
            with self.subTest(cli):
                told = tdfs.key_access(cli, "mlkem:768")
                self.assertEqual(told, f"wrapped {MLKEM768_CIPHERTEXT}")


if __name__ == "__main__":
    unittest.main()
