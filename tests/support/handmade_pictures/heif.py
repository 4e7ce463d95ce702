"""HEIC and AVIF."""

from __future__ import annotations

import struct


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + kind + data


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def found(data: bytes, kind: bytes) -> bytes:
    """The content of the first box of this kind."""
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
    """A picture made of tiles, as an iPhone writes it. tile: a file whose picture is used for all
    tiles; turn: quarter turns to the left; tiles: their number, None for as many as needed."""
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
