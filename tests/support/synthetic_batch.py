"""A data set as a batch writes it, of any size, in seconds: three networks explain some pictures,
and all others get mixtures of these results.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageEnhance

import gradcam_core as gc
from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.location import where
from gradcam_core.analysis.overlap_grades import grade_of
from gradcam_core.images.rendering.render import levels
from tests.support.photos import EXAMPLES

NETWORKS = {
    "efficientnet_lite2": "Xception",
    "efficientnet_lite0": "ResNet50",
    "efficientnet_lite1": "VGG19",
}
"""The networks that run, and the networks for which each stands in."""

HOSTILE = (
    'hostile/<img src=x onerror="window.broken=1"></script><script>window.broken=2</script>.jpg'
)
"""A file name that must be shown as text everywhere."""

LONGEST = 160  # side of a thumbnail
IN_PART = 500
EXPLAINED = 2  # classes that each network explains of each tile

_CLASS = [("index", pa.int32()), ("name", pa.string()), ("probability", pa.float32())]
VERDICTS = {"holds": "This map holds", "unclear": "Not clear", "fails": "This map fails"}
_REASON = [
    *((name, pa.string()) for name in ("check", "outcome", "text")),
    ("passed", pa.bool_()),
]
_CHECKS = ("deletion", "insertion", "random_deletion", "random_insertion", "average_drop")
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("model", pa.string()),
        ("title", pa.string()),
        ("stands_in_for", pa.string()),
        ("top", pa.list_(pa.struct(_CLASS))),
        ("class_index", pa.int32()),
        ("class", pa.string()),
        ("probability", pa.float32()),
        ("rank", pa.int32()),
        ("heat_box", pa.list_(pa.int32())),
        ("where", pa.string()),
        ("agreement", pa.float32()),
        ("picture_agreement", pa.float32()),
        ("label", pa.string()),
        ("label_index", pa.int32()),
        ("label_rank", pa.int32()),
        ("label_probability", pa.float32()),
        ("correct", pa.bool_()),
        ("elsewhere", pa.bool_()),
        (
            "trust",
            pa.struct(
                [
                    ("verdict", pa.string()),
                    ("sentence", pa.string()),
                    *((name, pa.float32()) for name in (*_CHECKS, "sanity", "steadiness")),
                    ("reasons", pa.list_(pa.struct(_REASON))),
                ]
            ),
        ),
        ("overlay", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("box", pa.list_(pa.int32())),
        ("method", pa.string()),
        ("detail", pa.int32()),
        ("view", pa.string()),
        ("layer", pa.string()),
        (
            "map",
            pa.struct([("rows", pa.int32()), ("columns", pa.int32()), ("levels", pa.binary())]),
        ),
        ("region", pa.list_(pa.float32())),
        ("thumbnail", pa.binary()),
        ("weights", pa.struct([("source", pa.string()), ("sha256", pa.string())])),
        ("versions", pa.struct([("gradcam_core", pa.string()), ("torch", pa.string())])),
        ("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class Tile:
    """A part of an example photo; each network's explanations of some classes; the places of their
    heat in words; and the overlaps of the networks' maps for each choice of explanations."""

    photo: Image.Image
    thumbnails: tuple[bytes, ...]
    explanations: tuple[tuple[gc.Explanation, ...], ...]
    places: tuple[tuple[str, ...], ...]
    overlaps: dict[tuple[int, ...], list[float]] = field(default_factory=dict)

    def overlaps_of(self, chosen: tuple[int, ...]) -> list[float]:
        if chosen not in self.overlaps:
            found = agreement([of[i] for of, i in zip(self.explanations, chosen, strict=True)])
            assert found
            self.overlaps[chosen] = [pair.overlap or 0 for pair in found.pairs]
        return self.overlaps[chosen]


def tiles(count: int) -> Iterator[Tile]:
    """Yields `count` parts of the example photos, each with computed explanations."""
    chance = random.Random(1)
    photos = [gc.read_image(path) for path in sorted(EXAMPLES.glob("*.jpg"))]
    networks = [gc.load_model(name) for name in NETWORKS]
    for i in range(count):
        photo = photos[i % len(photos)]
        zoom = 1 if i < len(photos) else chance.uniform(0.45, 0.9)
        width, height = (round(zoom * side) for side in photo.size)
        left, top = chance.randint(0, photo.width - width), chance.randint(0, photo.height - height)
        part = photo.crop((left, top, left + width, top + height))
        view = chance.choice(("crop", "crop", "whole"))
        held = [gc.examine(part, network, view) for network in networks]  # type: ignore[arg-type]
        found = tuple(
            tuple(one.explain(prediction.index) for prediction in one.top[:EXPLAINED])
            for one in held
        )
        yield Tile(
            part, thumbnails(part), found, tuple(tuple(map(where, of_one)) for of_one in found)
        )


def thumbnails(photo: Image.Image) -> tuple[bytes, ...]:
    """Small JPEGs: of the photo, and of darker and brighter versions."""
    small = photo.copy()
    small.thumbnail((LONGEST, LONGEST))
    made = []
    for times in (1, 0.7, 0.8, 0.9, 1.1, 1.2):
        file = io.BytesIO()
        ImageEnhance.Brightness(small).enhance(times).save(file, "JPEG", quality=80)
        made.append(file.getvalue())
    return tuple(made)


def write_data_set(out: Path, pictures: int = 5000, count: int = 42, seed: int = 0) -> list[Tile]:
    """Writes a data set of `pictures` pictures to `out/data`; returns its `count` tiles.

    The first pictures are the unchanged tiles, in their order, with every network's top prediction.
    Of the others, every 40th could not be read, every 25th has one network's error and every 10th
    was checked; the last has a hostile name. Every 7th, from the first, has no label.
    """
    made = list(tiles(count))
    chance = random.Random(seed)
    folder = out / "data"
    folder.mkdir(parents=True)
    for start in range(0, pictures, IN_PART):
        rows: list[dict[str, Any]] = []
        for number in range(start, min(start + IN_PART, pictures)):
            path = f"photos/{number // 100:03}/picture {number}.jpg"
            rows += _picture(path, number, made, chance)
            if number % 7:
                _label(rows[-len(NETWORKS) :], made[number % len(made)])
        if start + IN_PART >= pictures:
            last = rows[-1]["path"]
            for row in rows:
                row["path"] = HOSTILE if row["path"] == last else row["path"]
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        pq.write_table(table, folder / f"part-{start // IN_PART:05}.parquet")
    return made


def _picture(
    path: str, number: int, made: Sequence[Tile], chance: random.Random
) -> list[dict[str, Any]]:
    is_real = number < len(made)
    if number % 40 == 39 and not is_real:
        error = "This file is not a picture that can be read."
        rows = [row_of(path, of_one[0], "", 0, 1) for of_one in made[0].explanations]
        kept = ("path", "model", "title", "stands_in_for", "weights")
        return [{name: row[name] for name in kept} | {"error": error} for row in rows]
    tile = made[number] if is_real else chance.choice(made)
    chosen = tuple(0 if is_real else chance.randrange(EXPLAINED) for _ in NETWORKS)
    overlaps, times = tile.overlaps_of(chosen), 1.0
    if not is_real:
        overlaps = [min(1, overlap * chance.uniform(0.6, 1.3)) for overlap in overlaps]
        times = chance.uniform(0.9, 1)
    mean = sum(overlaps) / len(overlaps)
    rows = [
        row_of(path, of[i], places[i], mean, times)
        for of, places, i in zip(tile.explanations, tile.places, chosen, strict=True)
    ]
    rows[0]["thumbnail"] = tile.thumbnails[0] if is_real else chance.choice(tile.thumbnails)
    if number % 25 == 24 and not is_real:
        known = ("path", "model", "title", "stands_in_for", "width", "height", "weights")
        rows[2] = {name: rows[2][name] for name in known}
        rows[2]["error"] = "The network's memory was not enough for this picture."
    if number % 10 == 0:
        for row in rows:
            if not row.get("error"):
                row["trust"] = _trust(row, chance)
    return rows


def row_of(
    path: str, e: gc.Explanation, place: str, overlap: float, times: float
) -> dict[str, Any]:
    """A row as a batch writes it. times: a factor for its probabilities."""
    width, height = e.geometry.photo_size
    sides = width, height, width, height
    peak = float(e.feature_map.max()) or 1
    rows, columns = e.feature_map.shape
    top = [
        {"index": one.index, "name": one.name, "probability": one.probability * times}
        for one in e.top
    ]
    return {
        "path": path,
        "model": e.model,
        "title": e.title,
        "stands_in_for": NETWORKS[e.model],
        "top": top,
        "class_index": e.target.index,
        "class": e.target.name,
        "probability": e.target.probability * times,
        "rank": e.rank,
        "heat_box": list(e.box),
        "where": place,
        "agreement": overlap,
        "picture_agreement": overlap,
        "overlay": f"overlays/{path}_{e.model}.jpg",
        "width": width,
        "height": height,
        "box": list(e.box),
        "method": e.method,
        "detail": e.detail,
        "view": e.view,
        "layer": e.layer,
        "map": {"rows": rows, "columns": columns, "levels": levels(e.feature_map / peak).tobytes()},
        "region": [edge / side for edge, side in zip(e.geometry.region, sides, strict=True)],
        "weights": {"source": e.weights.source, "sha256": e.weights.sha256},
        "versions": {"gradcam_core": "1.0", "torch": "2.14"},
    }


def _label(rows: Sequence[dict[str, Any]], tile: Tile) -> None:
    """Adds a label to a picture's rows: the first network's top class for a tile, which may be
    another picture's."""
    label = tile.explanations[0][0].target
    for row in rows:
        row |= {"label": label.name, "label_index": label.index}
        if row.get("error"):
            continue
        ranks = {one["index"]: rank for rank, one in enumerate(row["top"], 1)}
        rank = ranks.get(label.index, 40)
        row["label_rank"], row["correct"] = rank, rank == 1
        row["label_probability"] = row["top"][rank - 1]["probability"] if rank < 40 else 0.001
        row["elsewhere"] = rank == 1 and grade_of(row["agreement"]).is_near_chance


def _trust(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    values = {name: chance.random() for name in (*_CHECKS, "sanity", "steadiness")}
    outcome = list(VERDICTS)[chance.randrange(len(VERDICTS))]
    text = f"what is found of “{row['class']}” (lead {chance.random():.2f} ± 0.41, 6 places)"
    reasons = [
        {
            "check": "deletion_insertion",
            "outcome": outcome,
            "passed": outcome == "holds",
            "text": text,
        }
    ]
    return {
        "verdict": outcome,
        "sentence": f"Of this map: {text}.",
        **values,
        "reasons": reasons,
    }
