"""Golden words of `params::keyed_rng`: ChaCha with 8 rounds, written out in plain Python.

Needs Python 3.9 or later and nothing else. The first block under the zero key is compared with
draft-strombergson-chacha-test-vectors-01 (TC1, 256-bit key, 8 rounds); the words printed for the key
(1, 2, 3, 4) stand in the test of crates/params/src/keyed.rs. They are integers: no tolerance.
"""

import struct

MASK = 0xFFFFFFFF


def rotate_left(value, count):
    return ((value << count) | (value >> (32 - count))) & MASK


def quarter_round(x, a, b, c, d):
    x[a] = (x[a] + x[b]) & MASK; x[d] = rotate_left(x[d] ^ x[a], 16)
    x[c] = (x[c] + x[d]) & MASK; x[b] = rotate_left(x[b] ^ x[c], 12)
    x[a] = (x[a] + x[b]) & MASK; x[d] = rotate_left(x[d] ^ x[a], 8)
    x[c] = (x[c] + x[d]) & MASK; x[b] = rotate_left(x[b] ^ x[c], 7)


def chacha8_block(key, counter):
    state = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key))
    state += [counter & MASK, counter >> 32, 0, 0]
    x = list(state)
    for _ in range(4):
        quarter_round(x, 0, 4, 8, 12); quarter_round(x, 1, 5, 9, 13)
        quarter_round(x, 2, 6, 10, 14); quarter_round(x, 3, 7, 11, 15)
        quarter_round(x, 0, 5, 10, 15); quarter_round(x, 1, 6, 11, 12)
        quarter_round(x, 2, 7, 8, 13); quarter_round(x, 3, 4, 9, 14)
    return struct.pack("<16I", *[(a + b) & MASK for a, b in zip(x, state)])


assert chacha8_block(bytes(32), 0)[:8].hex() == "3e00ef2f895f40d6"
words = struct.unpack("<8Q", chacha8_block(struct.pack("<4Q", 1, 2, 3, 4), 0))
print([hex(word) for word in words[:2]])
