"""Bounds of memory that hold for programs with sanitizers too."""

import os

FACTOR = 8  # the sanitizer keeps what was freed, 256 MiB of it, and puts red zones around each block


def memory_limit(size):
    """The bound of a program's memory in bytes, where `size` is the released program's."""
    return size * FACTOR if "GVMKIT_TEST_SANITIZED" in os.environ else size
