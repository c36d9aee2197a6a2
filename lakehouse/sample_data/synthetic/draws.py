"""(seed, stream name, index) -> a number or an id, the same on every OS, Python and numpy.

Counter-based (splitmix64 in uint64 arithmetic): a draw depends only on its arguments, so rows can be made in any order
or number without changing the others. No library's generator is used, since its streams may change between versions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

# splitmix64 (Steele, Lea, Flood 2014)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


@dataclass(frozen=True)
class Draws:
    """All random choices of one seed."""

    seed: int

    def below(self, stream: str, index: Integers, bound: int | Integers) -> Integers:
        """For each index, a number from 0 to bound - 1."""
        return (self._words(stream, index) >> np.uint64(11)).astype(np.int64) % bound

    def happens(self, stream: str, index: Integers, share: float) -> Mask:
        """For each index, whether it belongs to this share (0 to 1, to the millionth)."""
        return self.below(stream, index, 1_000_000) < round(share * 1_000_000)

    def one(self, stream: str, index: int, bound: int) -> int:
        """`below` for a single index."""
        return int(self.below(stream, np.array([index], dtype=np.int64), bound)[0])

    def ids(self, stream: str, index: Integers) -> pa.LargeStringArray:
        """For each index, an id of 32 hex digits; different indexes of a stream have different ids."""
        halves = np.column_stack([self._words(f"{stream}/high", index), self._words(f"{stream}/low", index)])
        octets = np.ascontiguousarray(halves).astype(">u8").view(np.uint8).reshape(-1)
        digits = np.column_stack([_HEX[octets >> 4], _HEX[octets & 15]])
        offsets = np.arange(len(index) + 1, dtype=np.int64) * 32
        return pa.LargeStringArray.from_buffers(
            len(index), pa.py_buffer(offsets.tobytes()), pa.py_buffer(np.ascontiguousarray(digits).tobytes())
        )

    def _words(self, stream: str, index: Integers) -> Words:
        key = hashlib.blake2b(f"{self.seed}/{stream}".encode(), digest_size=8).digest()
        word = index.astype(np.uint64) * _STEP + np.array([int.from_bytes(key, "big")], dtype=np.uint64)
        word = (word ^ (word >> np.uint64(30))) * _MIX_1
        word = (word ^ (word >> np.uint64(27))) * _MIX_2
        mixed: Words = word ^ (word >> np.uint64(31))
        return mixed
