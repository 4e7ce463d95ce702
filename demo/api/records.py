"""The types of the functions' results, which describe the core's records to API and MCP clients."""

from typing import Literal, TypedDict

from gradio.data_classes import FileData

from gradcam_core.analysis.trust.verdict import Check, Outcome

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
    probability: float | None


class PredictionsRecord(TypedDict):
    asked_for: str
    model: str
    title: str
    stands_in_for: str | None
    notice: str | None
    photo_notices: list[str]
    top: list[PredictionRecord]


class WeightsRecord(TypedDict):
    source: str
    sha256: str


class CurveRecord(TypedDict):
    shares: list[float]
    probabilities: list[float]
    area: float


class BandRecord(CurveRecord):
    lowest: list[float]
    highest: list[float]


class LeadRecord(TypedDict):
    value: float
    error: float
    difference: float
    deletion: float
    insertion: float
    count: int


class AlteredRecord(TypedDict):
    share: float
    probability: float
    top: list[PredictionRecord]


class RandomisedRecord(TypedDict):
    part: str
    correlation: float | None


class ReasonRecord(TypedDict):
    check: Check
    outcome: Outcome
    text: str
    passed: bool


class MeasureRecord(TypedDict):
    name: Literal["ROAD", "ARCC"]
    value: float
    text: str


class TrustRecord(TypedDict):
    verdict: Outcome
    reasons: list[ReasonRecord]
    sentence: str
    lead: LeadRecord | None
    deletion: CurveRecord
    insertion: CurveRecord
    random_deletion: BandRecord | None
    random_insertion: BandRecord | None
    without: AlteredRecord
    alone: AlteredRecord
    probability: float
    shown_alone: float
    average_drop: float
    has_increased: bool
    sanity: list[RandomisedRecord]
    random_weights: list[float | None]
    survives: bool
    shifts: list[float | None]
    noises: list[float | None]
    measures: list[MeasureRecord]
    seed: int


class ChannelRecord(TypedDict):
    index: int
    weight: float | None
    share: float
    activation: list[list[float]]


class StepsRecord(TypedDict):
    score: float
    channels: int
    size: list[int]
    speaking_for: int
    speaking_against: int
    largest_for: list[ChannelRecord]
    largest_against: list[ChannelRecord]


class CoverRecord(TypedDict):
    box: list[float] | None
    points: list[list[float]] | None
    radius: float | None
    fill: Literal["blur", "grey", "mean"]


class CoverEffectRecord(TypedDict):
    before: float | None
    after: float | None
    rank_before: int | None
    rank_after: int | None
    overlap: float | None
    words: str | None


class ExplanationRecord(TypedDict):
    asked_for: str
    model: str
    title: str
    stands_in_for: str | None
    notice: str | None
    photo_notices: list[str]
    covers: list[CoverRecord]
    cover_effect: CoverEffectRecord | None
    target: PredictionRecord
    rank: int | None
    degenerate: str | None
    top: list[PredictionRecord]
    classes: int
    method: str
    contrast: list[PredictionRecord]
    rivals: list[PredictionRecord]
    layer: str
    tokens: bool
    signed: bool
    smooth: str | None
    steps: StepsRecord | None
    detail: int
    view: str
    photo_size: list[int]
    box: list[int]
    weights: WeightsRecord
    how: str
    where: str
    caption: str
    overlay: FileData | None
    heatmap: FileData | None
    trust: TrustRecord | None


class HottestRecord(TypedDict):
    name: str
    from_heat: float | None


class PairRecord(TypedDict):
    names: list[str]
    overlap: float | None
    chance: float | None
    words: str | None
    rank_correlation: float | None


class AgreementRecord(TypedDict):
    region: list[int]
    hottest: float
    looked_at: list[HottestRecord]
    pairs: list[PairRecord]
    overlap: float | None
    words: str | None
    shares: list[float]


class PhotoRecord(TypedDict):
    name: str | None
    size: list[int]
    notices: list[str]
    covers: list[CoverRecord]


class Findings(TypedDict):
    schema_version: int
    software_version: str
    photo: PhotoRecord
    explanations: list[ExplanationRecord]
    agreement: AgreementRecord | None
    sentences: list[str]
