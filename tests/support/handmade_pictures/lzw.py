"""LZW, the compression of GIF and TIFF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def codes(values: Iterable[tuple[int, int]], is_msb: bool = False) -> bytes:
    """Packs (code, its number of bits) pairs: least significant bit first, as in GIF, or most
    significant first, as in TIFF."""
    held = count = 0
    packed = bytearray()
    for code, bits in values:
        if is_msb:
            held = held << bits | code
        else:
            held |= code << count
        count += bits
        while count >= 8:
            count -= 8
            if is_msb:
                packed.append(held >> count & 255)
                held &= (1 << count) - 1
            else:
                packed.append(held & 255)
                held >>= 8
    if count:
        packed.append((held << (8 - count) if is_msb else held) & 255)
    return bytes(packed)


def lzw_run(length: int, bits: int = 8, is_tiff: bool = False) -> bytes:
    """`length` zeros as LZW, in which every code stands for one zero more than the code before."""
    clear = 1 << bits

    def walk() -> Iterator[tuple[int, int]]:
        left, width = length, bits + 1
        while left > 0:
            yield clear, width
            width, following = bits + 1, clear + 2
            yield 0, width
            left -= 1
            run = 2
            while left >= run and following < 4094:
                yield following, width
                left -= run
                run += 1
                following += 1
                if following + is_tiff >= 1 << width and width < 12:
                    width += 1
            if left < run:
                while left > 0 and following < 4094:
                    yield 0, width
                    left -= 1
                    following += 1
                    if following + is_tiff >= 1 << width and width < 12:
                        width += 1
        yield clear + 1, width

    return codes(walk(), is_tiff)
