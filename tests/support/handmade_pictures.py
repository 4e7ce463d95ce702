"""Files of pictures put together byte by byte, as no encoder would write them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

# PNG

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(*chunks: bytes) -> bytes:
    return b"".join((PNG_SIGNATURE, *chunks, chunk(b"IEND")))


def deflated(parts: Iterable[bytes], level: int = 9) -> bytes:
    packer = zlib.compressobj(level)
    return b"".join([packer.compress(part) for part in parts] + [packer.flush()])


def rows(width: int, height: int, bits: int, value: int = 0x80) -> Iterator[bytes]:
    """The rows of a PNG of one value, with the byte before each that names its filter."""
    row = b"\0" + bytes([value]) * ((width * bits + 7) // 8)
    yield from (row for _ in range(height))


def flat_png(width: int, height: int, depth: int = 8, colour: int = 2, *before: bytes) -> bytes:
    """All of one value; before: chunks that come before the pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    level = 9 if width * height < 2_000_000 else 1
    pixels = deflated(rows(width, height, depth * channels), level)
    return png(ihdr(width, height, depth, colour), *before, chunk(b"IDAT", pixels))


def apng(frames: int, size: int = 8) -> bytes:
    """The first frame is grey, all others are black."""
    pixels = deflated(rows(size, size, 24))
    black = deflated(rows(size, size, 24, 0))
    parts = [ihdr(size, size), chunk(b"acTL", struct.pack(">II", frames, 0))]
    number = 0
    for frame in range(frames):
        control = struct.pack(">IIIIIHHBB", number, size, size, 0, 0, 1, 100, 0, 0)
        parts.append(chunk(b"fcTL", control))
        number += 1
        if frame == 0:
            parts.append(chunk(b"IDAT", pixels))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + black))
            number += 1
    return png(*parts)


# JPEG

SOI, EOI = b"\xff\xd8", b"\xff\xd9"

BASELINE, PROGRESSIVE, LOSSLESS, ARITHMETIC, ARITHMETIC_PROGRESSIVE = 0xC0, 0xC2, 0xC3, 0xC9, 0xCA


def segment(marker: int, data: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def dqt(value: int = 1) -> bytes:
    return segment(0xDB, b"\0" + bytes([value]) * 64)


def dht() -> bytes:
    """Codes of one bit: no difference, and the end of the block."""
    only = bytes([1, *[0] * 15, 0])
    return segment(0xC4, b"\x00" + only) + segment(0xC4, b"\x10" + only)


def sof(
    kind: int, width: int, height: int, sampling: Sequence[int] = (0x11,), precision: int = 8
) -> bytes:
    """sampling: of each component, horizontal and vertical factor as the two halves of a byte."""
    parts = b"".join(bytes([n + 1, factors, 0]) for n, factors in enumerate(sampling))
    return segment(kind, struct.pack(">BHHB", precision, height, width, len(sampling)) + parts)


def sos(components: Sequence[int] = (1,), first: int = 0, last: int = 63, bits: int = 0) -> bytes:
    parts = b"".join(bytes([component, 0]) for component in components)
    return segment(0xDA, bytes([len(components)]) + parts + bytes([first, last, bits]))


def jpeg(
    kind: int,
    width: int,
    height: int,
    *scans: bytes,
    sampling: Sequence[int] = (0x11,),
    precision: int = 8,
) -> bytes:
    """A JPEG without data after its scans' headers: decoders fill in what is missing, grey."""
    head = SOI + dqt() + sof(kind, width, height, sampling, precision) + dht()
    return head + b"".join(scans) + EOI


def many_scans(width: int, height: int, scans: int, components: int = 1) -> bytes:
    """Progressive; each scan costs ten bytes here, and there a walk through all coefficients."""
    numbers = range(1, components + 1)
    walk = [sos((1 + n % components,), 1, 63) for n in range(scans)]
    return jpeg(PROGRESSIVE, width, height, sos(numbers, 0, 0), *walk, sampling=[0x11] * components)


def after_soi(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with further segments at its beginning."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


# EXIF and TIFF

SHORT, LONG, ASCII, RATIONAL, DOUBLE, FLOAT = 3, 4, 2, 5, 12, 11
_LETTER = {SHORT: "H", LONG: "I", DOUBLE: "d", FLOAT: "f"}
_BYTES = {SHORT: 2, LONG: 4, ASCII: 1, RATIONAL: 8, DOUBLE: 8, FLOAT: 4}

Value = bytes | Sequence[float]


def ifd(tags: Mapping[int, tuple[int, Value]], at: int, following: int = 0) -> bytes:
    """A directory of tags (little-endian) that lies at this place of the file, with its values.

    A value given as bytes is written as it is, also where its type says otherwise.
    """
    head, tail = struct.pack("<H", len(tags)), b""
    after = at + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        if isinstance(value, bytes):
            packed, count = value, max(1, len(value) // _BYTES.get(kind, 1))
        else:
            packed, count = struct.pack(f"<{len(value)}{_LETTER[kind]}", *value), len(value)
        if len(packed) > 4:
            place = struct.pack("<I", after + len(tail))
            tail += packed
        else:
            place = packed.ljust(4, b"\0")
        head += struct.pack("<HHI", tag, kind, count) + place
    return head + struct.pack("<I", following) + tail


def tiff_head(first: int = 8) -> bytes:
    return b"II*\0" + struct.pack("<I", first)


def tiff(
    width: int,
    height: int,
    data: bytes,
    *,
    compression: int = 1,
    bits: int = 8,
    samples: int = 1,
    photometric: int = 1,
    following: int = 0,
    **changed: tuple[int, Value] | None,
) -> bytes:
    """One strip. changed: tags to change by `tNUMBER=(type, value)`, or to leave away with None."""
    tags: dict[int, tuple[int, Value]] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits] * min(samples, 8)),
        259: (SHORT, [compression]),
        262: (SHORT, [photometric]),
        273: (LONG, [8]),
        277: (SHORT, [samples]),
        278: (LONG, [height]),
        279: (LONG, [len(data)]),
    }
    for name, change in changed.items():
        number = int(name.removeprefix("t"))
        if change is None:
            del tags[number]
        else:
            tags[number] = change
    at = 8 + len(data) + len(data) % 2
    return (tiff_head(at) + data).ljust(at, b"\0") + ifd(tags, at, following)


def exif(
    tags: Mapping[int, tuple[int, Value]] | None = None, following: int = 0, raw: bytes = b""
) -> bytes:
    """The body of an EXIF block, without the name that JPEG puts before it."""
    return raw or tiff_head() + ifd(tags or {}, 8, following)


def app1(body: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + body)


# GIF


def codes(values: Iterable[tuple[int, int]], is_msb: bool = False) -> bytes:
    """(code, its bits) one after the other, packed as GIF has them, or as TIFF has."""
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
    """So many zeros as LZW, in which every code stands for one zero more than the one before."""
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


def blocks(data: bytes) -> bytes:
    """Data cut into GIF's blocks, with the empty one at the end."""
    cut = (data[n : n + 255] for n in range(0, len(data), 255))
    return b"".join(bytes([len(part)]) + part for part in cut) + b"\0"


def gif_frame(
    width: int, height: int, data: bytes | None = None, left: int = 0, top: int = 0, bits: int = 2
) -> bytes:
    """data: LZW; None is a frame of the first colour."""
    packed = lzw_run(width * height, bits) if data is None else data
    head = b"," + struct.pack("<HHHHB", left, top, width, height, 0)
    return head + bytes([bits]) + blocks(packed)


def gif(width: int, height: int, *frames: bytes, has_palette: bool = True) -> bytes:
    """Of four colours: the grey 128, black, white and red."""
    palette = bytes([128] * 3 + [0] * 3 + [255] * 3 + [255, 0, 0]) if has_palette else b""
    flags = 0xF1 if has_palette else 0x70
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0)
    return head + palette + b"".join(frames) + b";"


# BMP


def bmp(
    width: int,
    height: int,
    data: bytes,
    *,
    bits: int = 24,
    compression: int = 0,
    palette: bytes = b"",
    offset: int | None = None,
    colours: int | None = None,
) -> bytes:
    start = 54 + len(palette) if offset is None else offset
    used = len(palette) // 4 if colours is None else colours
    sizes = (compression, len(data), 2835, 2835, used, 0)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, *sizes)
    head = b"BM" + struct.pack("<IHHI", 54 + len(palette) + len(data), 0, 0, start)
    return head + info + palette + data


# WebP


def riff(*chunks: tuple[bytes, bytes], length: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def vp8l(width: int, height: int, grey: int = 128) -> bytes:
    """Lossless WebP of one colour: each of its codes has no bits at all, however many pixels."""
    head = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    symbols = (grey, grey, grey, 255, 0)  # green, red, blue, alpha, distance
    trees = [part for value in symbols for part in ((1, 1), (0, 1), (1, 1), (value, 8))]
    return codes([*head, *trees])


def flat_webp(width: int, height: int) -> bytes:
    return riff((b"VP8L", vp8l(width, height)))


def vp8x(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + canvas


def webp_frame(data: bytes, width: int, height: int, left: int = 0) -> tuple[bytes, bytes]:
    """One frame of an animation; data: its VP8L."""
    place = (left // 2).to_bytes(3, "little") + bytes(3)
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    inner = b"VP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"ANMF", place + sizes + (40).to_bytes(3, "little") + b"\0" + inner


# HEIC and AVIF


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + kind + data


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def found(data: bytes, kind: bytes) -> bytes:
    """The content of the first box of a kind, wherever it lies."""
    at = data.index(kind)
    (length,) = struct.unpack(">I", data[at - 4 : at])
    return data[at + 4 : at - 4 + length]


def size_of(width: int, height: int) -> bytes:
    return full(b"ispe", struct.pack(">II", width, height))


def grid(
    tile: bytes,
    tile_size: tuple[int, int],
    columns: int,
    lines: int,
    size: tuple[int, int],
    *,
    turn: int | None = None,
    exif: bytes = b"",
    tiles: int | None = None,
) -> bytes:
    """A picture of tiles, as an iPhone writes it, from a file with one picture that is used for all
    of them. turn: quarter turns to the left; tiles: how many there are, if not as many as needed.
    """
    is_avif = b"av1C" in tile
    codec, kind = (b"av1C", b"av01") if is_avif else (b"hvcC", b"hvc1")
    brand = b"avif" if is_avif else b"heic"
    count = columns * lines if tiles is None else tiles
    numbers = range(2, 2 + count)
    meta_of_exif = struct.pack(">I", 6) + b"Exif\0\0" + exif if exif else b""
    wide = max(size) > 65535
    shape = struct.pack(">BBBB", 0, wide, (lines - 1) % 256, (columns - 1) % 256)
    shape += struct.pack(">II" if wide else ">HH", *size)
    parts = [shape, found(tile, b"mdat"), meta_of_exif]

    def item(number: int, name: bytes, flags: int = 0) -> bytes:
        body = struct.pack(">HH", number, 0) + name + b"\0"
        return full(b"infe", body, version=2, flags=flags)

    last = 2 + count
    items = [item(1, b"grid"), *(item(n, kind, 1) for n in numbers)]
    items += [item(last, b"Exif", 1)] if exif else []
    links = box(b"dimg", struct.pack(f">HH{count}H", 1, count, *numbers))
    links += box(b"cdsc", struct.pack(">HHH", last, 1, 1)) if exif else b""
    properties = [box(codec, found(tile, codec)), size_of(*tile_size), size_of(*size)]
    properties += [box(b"irot", bytes([turn]))] if turn is not None else []
    of_grid = [3] + ([0x84] if turn is not None else [])
    belongs = struct.pack(">HB", 1, len(of_grid)) + bytes(of_grid)
    belongs += b"".join(struct.pack(">HB", n, 2) + b"\x81\x02" for n in numbers)

    def meta(start: int) -> bytes:
        places = [start, start + len(parts[0]), start + len(parts[0]) + len(parts[1])]

        def place(number: int, part: int) -> bytes:
            return struct.pack(">HHHII", number, 0, 1, places[part], len(parts[part]))

        where = [place(1, 0), *(place(n, 1) for n in numbers)]
        where += [place(last, 2)] if exif else []
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iinf", struct.pack(">H", len(items)), *items),
            full(b"iref", links),
            box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", struct.pack(">I", 1 + count), belongs),
            ),
            full(b"iloc", b"\x44\x00", struct.pack(">H", len(where)), *where),
        )

    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *parts)
