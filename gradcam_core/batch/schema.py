"""The columns of a batch's data set: one row for every picture and network."""

from __future__ import annotations

import pyarrow as pa

from gradcam_core.analysis.findings import SCHEMA_VERSION
from gradcam_core.analysis.overlap_grades import GRADES

DATA = "data"
"""The data set's folder inside the results folder."""

THUMBNAIL_SIDE_PX = 160
"""The longest side of a thumbnail."""

_PARTLY_FROM = next(grade.least for grade in GRADES if not grade.is_near_chance)

_INT, _FLOAT, _TEXT = pa.int32(), pa.float32(), pa.string()
_PREDICTION = pa.struct([("index", _INT), ("name", _TEXT), ("probability", _FLOAT)])
_ALTERED = pa.struct([("share", _FLOAT), ("probability", _FLOAT), ("top", pa.list_(_PREDICTION))])


def _column(name: str, kind: pa.DataType, words: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": words})


SCHEMA = pa.schema(
    [
        _column(
            "path", _TEXT, "the picture's key: its path below PHOTOS, or as given in its table"
        ),
        _column("model", _TEXT, "the name of the requested network"),
        _column("title", _TEXT, "the title of the network that ran"),
        _column("stands_in_for", _TEXT, "the title of the network that it replaced, or null"),
        _column(
            "top",
            pa.list_(_PREDICTION),
            "the five most probable classes, the most probable first",
        ),
        _column("class_index", _INT, "the class explained, by its index"),
        _column("class", _TEXT, "the same, by its name"),
        _column("probability", _FLOAT, "probability of the class explained, in [0, 1]"),
        _column(
            "contrast",
            pa.list_(_PREDICTION),
            "the classes that it is explained against; empty if by itself",
        ),
        _column("rank", _INT, "rank of the class explained among all by probability, from 1"),
        _column(
            "heat_box",
            pa.list_(_INT),
            "(left, top, right, bottom) in the photo's pixels of all places with at least half "
            "of the maximum heat; null if there is no heat",
        ),
        _column(
            "where", _TEXT, "where in the photo the heat lies, in words; or why there is no heat"
        ),
        _column("how", _TEXT, "how the map was made, in words"),
        _column("caption", _TEXT, "a caption for the map"),
        _column(
            "sentences",
            pa.list_(_TEXT),
            "sentences about the results for the picture, in the row of the first network; "
            "otherwise null",
        ),
        _column(
            "agreement",
            _FLOAT,
            "mean overlap (intersection over union) of the hottest fifth of this map with those of "
            "the other networks' maps; null if it is alone or empty",
        ),
        _column("picture_agreement", _FLOAT, "the same over all pairs of this picture's maps"),
        _column(
            "label",
            _TEXT,
            "the true class of the picture: the name of this network's class, or the given label "
            "if the network lacks the class; null if it has no label",
        ),
        _column("label_index", _INT, "the index of the label; null if the network lacks the class"),
        _column("label_rank", _INT, "rank of the label among all classes by probability, from 1"),
        _column("label_probability", _FLOAT, "probability of the label, in [0, 1]"),
        _column(
            "correct",
            pa.bool_(),
            "whether the label is the most probable class; if each class has a probability of its "
            "own, whether it has at least 50 %; null without a label that the network knows",
        ),
        _column(
            "elsewhere",
            pa.bool_(),
            "whether it is, but its map of the label lies elsewhere than those of other networks: "
            f"the mean overlap is below {_PARTLY_FROM} %, near chance or less; null where "
            "`correct` is, and where this network or all others have no map of the label",
        ),
        _column(
            "trust",
            pa.struct(
                [
                    ("verdict", _TEXT),  # holds, unclear or fails: the worst outcome
                    ("sentence", _TEXT),
                    (
                        "lead",  # over the map laid elsewhere; null: the class is too improbable
                        pa.struct(
                            [
                                ("value", _FLOAT),
                                ("difference", _FLOAT),
                                ("count", _INT),
                                ("error", _FLOAT),
                            ]
                        ),
                    ),
                    ("deletion", _FLOAT),  # areas under the curves
                    ("insertion", _FLOAT),
                    ("random_deletion", _FLOAT),  # means of the map laid elsewhere
                    ("random_insertion", _FLOAT),
                    ("without", _ALTERED),  # the hottest places
                    ("alone", _ALTERED),  # the hottest places
                    ("probability", _FLOAT),
                    ("shown_alone", _FLOAT),
                    ("average_drop", _FLOAT),
                    ("has_increased", pa.bool_()),
                    ("sanity", _FLOAT),  # rank correlation, all weights random; null: no heat left
                    ("random_weights", pa.list_(_FLOAT)),  # the same of several networks
                    ("survives", pa.bool_()),
                    ("shifts", pa.list_(_FLOAT)),  # rank correlations under small changes
                    ("noises", pa.list_(_FLOAT)),
                    ("steadiness", _FLOAT),  # the lowest of these that are measured
                    ("road", _FLOAT),
                    ("arcc", _FLOAT),  # null: a slow method
                    ("seed", _INT),
                    (
                        "reasons",
                        pa.list_(
                            pa.struct(
                                [
                                    ("check", _TEXT),
                                    ("outcome", _TEXT),
                                    ("text", _TEXT),
                                    ("passed", pa.bool_()),
                                ]
                            )
                        ),
                    ),
                ]
            ),
            "the results of the trust checks of the map; null if not checked",
        ),
        _column(
            "overlay", _TEXT, "the overlay's path below the results folder; null if there is none"
        ),
        _column("width", _INT, "of the photo, upright, in pixels"),
        _column("height", _INT, "of the photo, upright, in pixels"),
        _column(
            "photo_notices",
            pa.list_(_TEXT),
            "how the picture was read, such as a range of brightness or the first of several "
            "pages; empty for most",
        ),
        _column("box", pa.list_(_INT), "(left, top, right, bottom): what the network saw of it"),
        _column("method", _TEXT, "of the map"),
        _column(
            "detail", _INT, "the photo's size for the network, as a multiple of its input size"
        ),
        _column("view", _TEXT, "crop or whole"),
        _column("layer", _TEXT, "the target layer"),
        _column(
            "map",
            pa.struct([("rows", _INT), ("columns", _INT), ("levels", pa.binary())]),
            "the map as the method returns it, row by row, one byte per cell: 255 is its maximum",
        ),
        _column(
            "region",
            pa.list_(_FLOAT),
            "(left, top, right, bottom) of the map's area, as fractions of the photo's width and "
            "height; beyond 0 and 1 if the view is padded",
        ),
        _column(
            "thumbnail",
            pa.binary(),
            f"the photo as a JPEG of at most {THUMBNAIL_SIDE_PX} pixels a side, in the row of the "
            "first network; otherwise null",
        ),
        _column(
            "weights", pa.struct([("source", _TEXT), ("sha256", _TEXT)]), "of the network that ran"
        ),
        _column("versions", pa.map_(_TEXT, _TEXT), "of the libraries that computed this"),
        _column("error", _TEXT, "why there is no result; null if there is one"),
    ],
    metadata={"schema_version": str(SCHEMA_VERSION)},
)
"""One row for every picture and network. Columns that have the name of a field of `findings` hold
that field, and the files' metadata holds its schema version. In rows with an error, everything that
could not be computed is null. The files also describe each column, in its field's `description`."""
