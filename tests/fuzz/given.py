"""What a fuzzer's bytes mean to every target: what a peer sends, and how it is cut into reads.

The first byte says how it is cut: 0 not at all, 1 after every byte, others at random with this
seed, mostly beside line ends. The others are sent, but for two words that bring small inputs to the
bounds of the parsers:

    0xFE COUNT LENGTH    the last LENGTH + 1 bytes COUNT times again; if LENGTH is 128 or more, the
                         last 16 * (LENGTH - 127)
    0xFD COUNT POWER     the last byte again, until 2**POWER + COUNT - 128 bytes are sent

They stop before there are too many bytes or lines, or fuzzers would do little else.
"""

import itertools
import random
import re

_REPETITION = re.compile(rb"([\xfe\xfd])(.)(.)", re.DOTALL)
_MOST_LINES = 500
_MOST_BYTEWISE = 3000
_MOST_CUTS = 24
_SHOWN = 1000


def given(data: bytes, most_bytes: int) -> tuple[bytes, list[bytes]]:
    """What is sent, and the same in reads. Repetitions end at `most_bytes`."""
    whole = _sent(data[1:], most_bytes)
    places = sorted({0, len(whole), *_cuts(data[0] if data else 0, whole)})
    return whole, [whole[start:end] for start, end in itertools.pairwise(places)]


def _sent(data: bytes, most_bytes: int) -> bytes:
    found, *repetitions = _REPETITION.split(data)
    for word, count, more, following in zip(*[iter(repetitions)] * 4, strict=True):
        if word == b"\xfe":
            length = more[0] + 1 if more[0] < 128 else 16 * (more[0] - 127)
            again = found[-length:]
            times = count[0]
        else:
            again = found[-1:]
            times = 2 ** (more[0] % 17) + count[0] - 128 - len(found)
        most = (most_bytes - len(found)) // max(len(again), 1)
        if lines := again.count(b"\n"):
            most = min(most, (_MOST_LINES - found.count(b"\n")) // lines)
        found += again * max(min(times, most), 0) + following
    return found


def agree(found: object, expected: object) -> None:
    """AssertionError, with both, where they differ."""
    if found != expected:
        raise AssertionError(f"{str(found)[:_SHOWN]}\nshould be\n{str(expected)[:_SHOWN]}")


def _cuts(how: int, whole: bytes) -> list[int]:
    if how == 0 or not whole:
        return []
    if how == 1 and len(whole) <= _MOST_BYTEWISE:
        return list(range(len(whole)))
    chance = random.Random(how)
    cuts = [chance.randrange(len(whole)) for _ in range(1 + how % _MOST_CUTS)]
    beside = [whole.find(b"\n", cut) + chance.randrange(-4, 5) for cut in cuts]
    return [min(max(cut, 0), len(whole)) for cut in cuts[::2] + beside]
