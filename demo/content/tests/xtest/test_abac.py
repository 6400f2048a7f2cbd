"""Awake from the start: every SDK tells a wire format for the algorithms that it supports."""

import unittest

import abac
import tdfs


class Classic(unittest.TestCase):
    def test_rsa_is_wrapped_by_every_sdk(self) -> None:
        for cli in tdfs.clis():
            with self.subTest(cli):
                self.assertEqual(tdfs.key_access(cli, "rsa:2048"), "wrapped 0")

    def test_numbers_are_unique(self) -> None:
        self.assertEqual(len(set(abac.kas_algorithms.values())), len(abac.kas_algorithms))


if __name__ == "__main__":
    unittest.main()
