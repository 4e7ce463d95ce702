"""What the functions give, as described to Gradio and MCP clients: the records of the core."""

from typing import Literal, TypedDict

from gradio.data_classes import FileData

Output = Literal["comparison", "overlay", "heatmap"]
"""A kind of file that `explain` makes."""


class ModelRecord(TypedDict):
    name: str
    title: str
    architecture: str
    layer: str
    stand_in: str | None
    default: bool


class ClassRecord(TypedDict):
    index: int
    name: str
    synonyms: list[str]
    found_by: str


class PredictionRecord(TypedDict):
    index: int
    name: str
    probability: float


class PredictionsRecord(TypedDict):
    asked_for: str
    model: str
    title: str
    stands_in_for: str | None
    notice: str | None
    top: list[PredictionRecord]


class WeightsRecord(TypedDict):
    source: str
    sha256: str


class CurveRecord(TypedDict):
    probabilities: list[float]
    area: float


class RandomisedRecord(TypedDict):
    part: str
    correlation: float | None


class ReasonRecord(TypedDict):
    check: str
    passed: bool
    text: str


class TrustRecord(TypedDict):
    verdict: str
    reasons: list[ReasonRecord]
    sentence: str
    deletion: CurveRecord
    insertion: CurveRecord
    random_deletion: CurveRecord
    random_insertion: CurveRecord
    probability: float
    shown_alone: float
    average_drop: float
    has_increased: bool
    sanity: list[RandomisedRecord]
    survives: bool
    shifts: list[float | None]
    noises: list[float | None]


class ExplanationRecord(TypedDict):
    asked_for: str
    model: str
    title: str
    stands_in_for: str | None
    notice: str | None
    target: PredictionRecord
    rank: int
    degenerate: str | None
    top: list[PredictionRecord]
    method: str
    contrast: list[PredictionRecord]
    rivals: list[PredictionRecord]
    layer: str
    detail: int
    view: str
    photo_size: list[int]
    box: list[int]
    weights: WeightsRecord
    how: str
    where: str
    overlay: FileData | None
    heatmap: FileData | None
    trust: TrustRecord | None


class HottestRecord(TypedDict):
    name: str
    from_heat: float | None


class PairRecord(TypedDict):
    names: list[str]
    overlap: float
    rank_correlation: float | None


class AgreementRecord(TypedDict):
    region: list[int]
    hottest: float
    looked_at: list[HottestRecord]
    pairs: list[PairRecord]
    shares: list[float]


class Findings(TypedDict):
    explanations: list[ExplanationRecord]
    agreement: AgreementRecord | None
    sentences: list[str]
