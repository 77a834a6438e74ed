"""Breaks bytes that were good: a piece taken out, put in, or exchanged for what stands elsewhere in the protocol."""

import os
import random

# How many bodies, in all, each kind of fuzzing sends; `make fuzz FUZZ=100000` sets it.
BODIES = int(os.environ.get("FUZZ", "2000"))

PIECES = [b"null", b"-1", b"[]", b"{}", b'"x"', b"1e400", b"[[", b"18446744073709551616", b"\xff", b"", b"true", b"0"]
KEYS = [b'"shape"', b'"data"', b'"name"', b'"inputs"', b'"parameters"', b'"outputs"', b"[1,2]", b"[3]", b"8", b'"FP32"']


def mutated(chance: random.Random, good: bytes) -> bytes:
    sent = bytearray(good)
    for _ in range(chance.randint(1, 3)):
        where = chance.randrange(len(sent) + 1)
        action = chance.randrange(4)
        if action == 0:
            sent[where : where + chance.randint(1, 8)] = b""
        elif action == 1:
            sent[where:where] = chance.choice(PIECES)
        elif action == 2:
            key = chance.choice(KEYS)
            sent = bytearray(bytes(sent).replace(key, chance.choice(PIECES + KEYS), 1))
        elif sent:
            sent[min(where, len(sent) - 1)] = chance.randrange(256)
    return bytes(sent)
