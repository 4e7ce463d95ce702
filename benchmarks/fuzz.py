"""Reads two hundred thousand randomly damaged pictures, and counts the outcomes.

`make fuzz`. Input number n is always the same: a small file of some format, changed in a way that
depends on n. Two child processes read the inputs, so that a decoder that crashes, hangs or takes
all memory does not end the run and is noticed. Failing inputs are kept in test-results/.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import re
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import tifffile
from PIL import Image

from benchmarks import fuzz_instruments
from benchmarks.table import Row, print_table, print_versions
from gradcam_core import read_image
from gradcam_core.errors import ImageError
from tests.support.bad_pictures.corpus import corpus
from tests.support.handmade_pictures import bmp, gif, heif, png, webp

WORKERS = 2
LONGEST = 5.0  # seconds
MOST_MEMORY = 400  # MB above what the process had before
GIVEN_UP = 30.0  # seconds after which a process is killed
RESULTS = Path("test-results")

SMALL = 3000  # bytes of a bad picture up to which it is a seed, too

SHOWN, REFUSED, OTHER, CRASHED, SLOW = "shown", "refused", "other", "crashed", "slow"

PYTHONS_WORDS = re.compile(r"Traceback|Error\b|Exception|\bNone\b|object at|0x[0-9a-f]{4}|\n")


def _encoded(image: Image.Image, encoder: str, **options: object) -> bytes:
    file = io.BytesIO()
    if encoder == "HEIC":
        pillow_heif.from_pillow(image).save(file, quality=60)
    else:
        image.save(file, encoder, **options)
    return file.getvalue()


def _tiff(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack", "metadata": None, **options})
    return file.getvalue()


def _numbers(grey: np.ndarray, colours: np.ndarray) -> list[bytes]:
    """TIFFs as instruments write them. grey: uint16 [H, W]; colours: uint16 [H, W, 3]."""
    planes = np.ascontiguousarray(colours.transpose(2, 0, 1))
    palette = np.zeros((3, 65536), np.uint16)
    stack = np.stack([grey] * 6)
    imagej = {"metadata": {"axes": "ZCYX", "min": 0.0, "max": 90.0}, "imagej": True}
    return [
        _tiff(grey),
        _tiff(grey, byteorder=">", tile=(16, 16), compression="lzw", predictor=True),
        _tiff(grey, bigtiff=True, compression="zstd", photometric="miniswhite"),
        _tiff(grey >> 4, bitspersample=12),
        _tiff(grey.astype(np.float32), compression="zlib", predictor=True, rowsperstrip=5),
        _tiff(grey.astype(np.float16)),
        _tiff(grey.astype(np.float64), extratags=[(42113, 2, 6, "-9999", True)]),
        _tiff(grey.astype(np.int32) - 9, extratags=[(340, 9, 1, -9, True), (341, 9, 1, 99, True)]),
        _tiff(grey.astype(np.int8), extratags=[(274, 3, 1, 6, True)]),
        _tiff(colours, photometric="rgb", compression="packbits"),
        _tiff(planes, photometric="rgb", planarconfig="separate", rowsperstrip=6),
        _tiff(colours, photometric="rgb", extrasamples=[], compression="jpeg2000"),
        _tiff(np.dstack([colours, grey]), photometric="separated"),
        _tiff(np.dstack([colours, grey]), photometric="rgb", extrasamples=["assocalpha"]),
        _tiff(colours, photometric="cielab"),
        _tiff(grey, photometric="palette", colormap=palette),
        _tiff(np.stack([grey] * 5, axis=2), extrasamples=["unspecified"] * 4),
        _tiff(stack),
        _tiff(stack, volumetric=True, tile=(16, 16, 16)),
        _tiff(stack.reshape(3, 2, *grey.shape), **imagej),
        _tiff(stack, ome=True, metadata={"axes": "ZYX"}),
    ]


def seeds() -> dict[str, list[bytes]]:
    """Small good files of every format, and small bad files, by format."""
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (20, 28, 3), dtype=np.uint8))
    grey, clear, few = image.convert("L"), image.convert("RGBA"), image.quantize(7)
    deep = Image.fromarray(np.asarray(grey, np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "cat"
    frames: dict[str, object] = {"save_all": True, "append_images": [image.rotate(90)] * 3}
    good = {
        "JPEG": [
            _encoded(image, "JPEG"),
            _encoded(image, "JPEG", progressive=True, exif=exif),
            _encoded(grey, "JPEG", restart_marker_blocks=1),
            _encoded(image.convert("CMYK"), "JPEG"),
            _encoded(image, "JPEG", subsampling=0, icc_profile=bytes(300)),
            _encoded(image, "MPO", **frames),
        ],
        "PNG": [
            _encoded(image, "PNG"),
            _encoded(clear, "PNG", exif=exif),
            _encoded(few, "PNG", bits=4, transparency=1),
            _encoded(deep, "PNG"),
            _encoded(Image.fromarray(np.asarray(grey, np.uint16) * 16), "PNG"),
            png.file(
                png.ihdr(5, 5, 16, 6),
                png.chunk(b"sBIT", bytes([12] * 4)),
                png.chunk(b"IDAT", zlib.compress(bytes(5 * 41))),
            ),
            _encoded(image.convert("1"), "PNG"),
            png.animation(4),
            png.file(png.ihdr(5, 5, interlace=1), png.chunk(b"IDAT", zlib.compress(bytes(99)))),
        ],
        "WebP": [
            _encoded(image, "WEBP", quality=50),
            _encoded(clear, "WEBP", lossless=True, exif=exif),
            _encoded(image, "WEBP", **frames),
            webp.flat(16, 16),
        ],
        "GIF": [_encoded(few, "GIF"), _encoded(image, "GIF", **frames), gif.file(9, 9)],
        "TIFF": [
            *(
                _encoded(image, "TIFF", compression=name)
                for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd")
            ),
            _encoded(image.convert("1"), "TIFF", compression="group4"),
            _encoded(deep, "TIFF"),
            _encoded(Image.fromarray(np.asarray(grey, np.float32)), "TIFF"),
            _encoded(image, "TIFF", exif=exif, big_tiff=True),
        ],
        "numbers in TIFF": _numbers(np.asarray(deep), np.asarray(image, np.uint16) * 16),
        "BMP": [
            _encoded(image, "BMP"),
            _encoded(few, "BMP"),
            _encoded(clear, "BMP"),
            bmp.file(9, 9, b"\x09\1\0\0" * 9 + b"\0\1", bits=8, compression=1, palette=bytes(1024)),
        ],
        "AVIF": [
            _encoded(image, "AVIF", speed=10),
            _encoded(clear, "AVIF", speed=10, exif=exif),
            _encoded(image, "AVIF", speed=10, **frames),
        ],
        "HEIC": [_encoded(image, "HEIC"), _encoded(clear, "HEIC")],
        "PPM": [
            _encoded(image, "PPM"),
            _encoded(image.convert("1"), "PPM"),
            b"P3 2 2 255 " + b"9 " * 12,
            b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + bytes(12),
            b"Pf 2 2 -1.0\n" + struct.pack("<4f", 0, 0.5, 1, 2),
            b"PF 1 2 1.0\n" + struct.pack(">6f", 0, -0.5, 1, 2, 9, 1e9),
            b"P5 3 2 4095\n" + struct.pack(">6H", 0, 9, 99, 999, 4000, 4095),
            b"P2 # text\n3 2 4095\n0 9 99 999 4000 4095",
        ],
    }
    good |= fuzz_instruments.seeds(image)
    for encoding in ("AVIF", "HEIC"):
        good[encoding].append(heif.grid(good[encoding][0], (28, 20), 2, 2, (50, 36), turn=1))
    odd = [p for p in corpus() if p.kind in (*good, "EXIF", "animations", "colours", "two in one")]
    for picture in odd:
        name = next((name for name in good if picture.name.startswith(name)), "")
        if name and len(picture.data) <= SMALL:
            good[name].append(picture.data)
    return good


EDGES = [0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536,
         2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]  # fmt: skip

Random = np.random.Generator
Change = Callable[[bytearray, Random, list[bytes]], None]


def _place(data: bytearray, random: Random) -> int:
    """The place of a change. Half of all changes are in the first bytes, because headers have more
    to break than pixels."""
    end = len(data) if random.random() < 0.5 else min(len(data), 96)
    return int(random.integers(max(1, end)))


def flip_bits(data: bytearray, random: Random, others: list[bytes]) -> None:
    for _ in range(int(random.integers(1, 9))):
        data[_place(data, random)] ^= 1 << int(random.integers(8))


def set_bytes(data: bytearray, random: Random, others: list[bytes]) -> None:
    for _ in range(int(random.integers(1, 9))):
        data[_place(data, random)] = int(random.integers(256))


def set_a_number(data: bytearray, random: Random, others: list[bytes]) -> None:
    size, order = int(random.choice([1, 2, 4])), str(random.choice(["little", "big"]))
    number = int(random.choice(EDGES)) % 256**size
    at = _place(data, random)
    data[at : at + size] = number.to_bytes(size, "big" if order == "big" else "little")


def delete(data: bytearray, random: Random, others: list[bytes]) -> None:
    at = _place(data, random)
    del data[at : at + int(random.integers(1, 40))]


def repeat(data: bytearray, random: Random, others: list[bytes]) -> None:
    at = _place(data, random)
    part = data[at : at + int(random.integers(1, 60))]
    data[at:at] = part * int(random.choice([1, 2, 8, 100]))


def insert(data: bytearray, random: Random, others: list[bytes]) -> None:
    at = _place(data, random)
    data[at:at] = random.bytes(int(random.integers(1, 20)))


def cut(data: bytearray, random: Random, others: list[bytes]) -> None:
    del data[int(random.integers(len(data))) :]


def splice(data: bytearray, random: Random, others: list[bytes]) -> None:
    other = others[int(random.integers(len(others)))]
    at, start = _place(data, random), int(random.integers(len(other)))
    part = other[start : start + int(random.integers(1, 200))]
    data[at : at + (len(part) if random.random() < 0.5 else 0)] = part


CHANGES: list[Change] = [
    flip_bits, set_bytes, set_a_number, set_a_number, delete, repeat, insert, cut, splice,
]  # fmt: skip


def _right_sums(data: bytearray) -> None:
    """Corrects the checksums of a PNG, so that the changes reach the decoder itself."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            return
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4


def broken(number: int, all_seeds: dict[str, list[bytes]]) -> tuple[str, bytes]:
    """The format of the input with this number, and its bytes."""
    names = list(all_seeds)
    name = names[number % len(names)]
    random = np.random.default_rng(number)
    files = all_seeds[name]
    data = bytearray(files[int(random.integers(len(files)))])
    for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
        if data:
            CHANGES[int(random.integers(len(CHANGES)))](data, random, files)
    if name == "PNG" and random.random() < 0.8:
        _right_sums(data)
    return name, bytes(data)


@dataclass
class Outcome:
    """The outcomes of a format's inputs. megabytes, seconds: the most that an input took."""

    counts: Counter[str] = field(default_factory=Counter)
    megabytes: float = 0
    seconds: float = 0


def _status(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def read_one(data: bytes) -> tuple[str, str]:
    """The outcome of an input, and the message."""
    try:
        picture = read_image(data)
    except ImageError as error:
        text = str(error)
        is_sentence = 10 <= len(text) <= 300 and not PYTHONS_WORDS.search(text)
        return (REFUSED if is_sentence else OTHER), text
    except Exception as error:
        return OTHER, repr(error)
    return (SHOWN if picture.mode == "RGB" else OTHER), picture.mode


def work(first: int, last: int, report: Connection) -> None:
    """Reads every `WORKERS`th input from `first` on. Reports each number before it begins."""
    all_seeds = seeds()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # discards the decoders' messages
    for _, data in (broken(n, all_seeds) for n in range(20)):
        read_one(data)  # so that what is loaded only once is not measured
    for number in range(first, last, WORKERS):
        name, data = broken(number, all_seeds)
        report.send((number, name))
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before, start = _status("VmRSS"), time.perf_counter()
        what, said = read_one(data)
        seconds = time.perf_counter() - start
        report.send((what, said, seconds, _status("VmHWM") - before))
    report.send(None)


class Worker:
    """A process that reads inputs. If an input ends it, it is restarted after that input."""

    def __init__(self, first: int, last: int, outcomes: dict[str, Outcome]) -> None:
        self._last = last
        self._outcomes = outcomes
        self._now: tuple[int, str] | None = None
        self._since = time.monotonic()
        self.is_done = False
        self._process: BaseProcess
        self._start(first)

    def _start(self, first: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._reports, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=work, args=(first, self._last, sender), daemon=True)
        self._process.start()
        sender.close()

    def look(self) -> None:
        """Counts the process's reports, and notices if it has crashed or hangs."""
        try:
            while self._reports.poll(0.02):
                self._take(self._reports.recv())
                if self.is_done:
                    return
        except EOFError:
            self._lost(CRASHED, f"the process ended with {self._exit()}")
            return
        if self._now and time.monotonic() - self._since > GIVEN_UP:
            self._process.kill()
            self._process.join()
            self._lost(SLOW, f"not ready after {GIVEN_UP:.0f} s")

    def stop(self) -> None:
        self._process.kill()
        self._process.join()

    def _exit(self) -> int | None:
        self._process.join(10)
        return self._process.exitcode

    def _take(self, report: tuple | None) -> None:
        if report is None:
            self.is_done = True
        elif len(report) == 2:
            self._now, self._since = report, time.monotonic()
        else:
            assert self._now
            what, said, seconds, megabytes = report
            number, name = self._now
            outcome = self._outcomes.setdefault(name, Outcome())
            outcome.counts[what] += 1
            outcome.seconds = max(outcome.seconds, seconds)
            outcome.megabytes = max(outcome.megabytes, megabytes)
            if seconds > LONGEST:
                outcome.counts[SLOW] += 1
            if what == OTHER or seconds > LONGEST or megabytes > MOST_MEMORY:
                keep(number, f"{what}, {seconds:.1f} s, {megabytes:.0f} MB: {said}")
            self._now = None

    def _lost(self, what: str, said: str) -> None:
        if self._now is None:
            raise RuntimeError(f"a worker could not start: {said}")
        number, name = self._now
        self._outcomes.setdefault(name, Outcome()).counts[what] += 1
        keep(number, said)
        self._now = None
        if number + WORKERS < self._last:
            self._start(number + WORKERS)
        else:
            self.is_done = True


def keep(number: int, said: str) -> None:
    """Saves a failing input for later analysis."""
    RESULTS.mkdir(exist_ok=True)
    name, data = broken(number, seeds())
    path = RESULTS / f"fuzz_{number}.{name.lower()}"
    path.write_bytes(data)
    print(f"{path}: {said}", file=sys.stderr)


def run(inputs: int, seconds: float, first: int = 0) -> dict[str, Outcome]:
    """The outcomes, by format, of this many inputs, or of as many as there was time for."""
    outcomes: dict[str, Outcome] = {}
    workers = [Worker(first + n, first + inputs, outcomes) for n in range(WORKERS)]
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline and not all(worker.is_done for worker in workers):
            for worker in workers:
                if not worker.is_done:
                    worker.look()
    finally:
        for worker in workers:
            worker.stop()
    return outcomes


def print_outcomes(outcomes: dict[str, Outcome], inputs: int, seconds: float) -> bool:
    """Prints the outcomes; returns whether all are as they must be."""
    rows = []
    for name, outcome in sorted(outcomes.items()):
        rows.append(_row(name, outcome))
    total = Outcome(
        sum((outcome.counts for outcome in outcomes.values()), Counter()),
        max(outcome.megabytes for outcome in outcomes.values()),
        max(outcome.seconds for outcome in outcomes.values()),
    )
    rows.append(_row("**all**", total))
    tried = sum(total.counts[what] for what in (SHOWN, REFUSED, OTHER, CRASHED))
    print_table(
        f"{tried:,} of {inputs:,} inputs in {seconds:.0f} s",
        [
            "Format",
            "Inputs",
            "Shown",
            "Refused with a sentence",
            "Anything else",
            "Crashes",
            f"Longer than {LONGEST:.0f} s",
            "Longest",
            f"Most memory, to be ≤ {MOST_MEMORY} MB",
        ],
        rows,
    )
    return tried >= inputs and not any(total.counts[what] for what in (OTHER, CRASHED, SLOW))


def _row(name: str, outcome: Outcome) -> Row:
    counts = outcome.counts
    inputs = sum(counts[what] for what in (SHOWN, REFUSED, OTHER, CRASHED))
    numbers = [inputs, *(counts[what] for what in (SHOWN, REFUSED, OTHER, CRASHED, SLOW))]
    return Row(
        name,
        *(f"{number:,}" for number in numbers),
        f"{outcome.seconds:.2f} s",
        f"{outcome.megabytes:.0f} MB",
        outcome.megabytes <= MOST_MEMORY,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=240, help="after which the run ends")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    options = parser.parse_args()
    print_versions("Pillow", "pi-heif", "tifffile", "imagecodecs", "pydicom", "rawpy")
    start = time.monotonic()
    outcomes = run(options.inputs, options.seconds, options.first)
    if not print_outcomes(outcomes, options.inputs, time.monotonic() - start):
        sys.exit(1)


if __name__ == "__main__":
    main()
