"""The results folder of a batch: knows which pictures are done and writes new results. Whatever
stops a batch, the same command resumes it, with no picture lost or done twice.

The data set consists of many Parquet files, the parts. All rows of a picture are in the same part,
a part is either complete or absent, and a picture counts as done once its rows are in a part.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import BaseFileLock, Timeout

from gradcam_core.batch.listing.source import key_digest
from gradcam_core.batch.rows import PictureResult
from gradcam_core.batch.schema import DATA, SCHEMA
from gradcam_core.batch.settings import LATER_SETTINGS, BatchSettings
from gradcam_core.errors import BatchError
from gradcam_core.images.remote.fetch import is_address
from gradcam_core.models.model import Model
from gradcam_core.system.files import atomic_write, broken_link
from gradcam_core.system.locks import lock_for

RUN = "run.json"
FORMAT = 1
"""Version of the folder's layout."""

PART_PICTURES = 256
PART_WRITTEN_AFTER_S = 20.0
"""A part is written once it has this many pictures or its first picture has waited this long. A
`kill -9` loses at most that much work."""

_HALF_WRITTEN = ".part-*.tmp"


class ResultFolder:
    """The folder of a batch's results, for one process at a time. Use it in a `with` statement.

    done: the number of pictures that are done. explained: how many of these have no error. Entering
    raises BatchError if the folder belongs to a batch with other settings, is used by another
    process, has a damaged part, or cannot be made.
    """

    def __init__(self, path: Path, pictures: str, settings: BatchSettings) -> None:
        self.path = path
        where = pictures if is_address(pictures) else Path(pictures).absolute().as_posix()
        identity = {"format": FORMAT, "photos": where}
        self._identity: dict[str, Any] = identity | settings.record()
        self._models = settings.models
        self._keys: set[bytes] = set()
        self.explained = 0
        self._unwritten: list[PictureResult] = []
        self._unwritten_since = 0.0
        self._number = 0
        self._lock: BaseFileLock | None = None

    @property
    def done(self) -> int:
        return len(self._keys)

    def __enter__(self) -> ResultFolder:
        try:
            (self.path / DATA).mkdir(parents=True, exist_ok=True)
            self._lock = lock_for(self.path / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise BatchError(
                f"another batch is running in {self.path}: wait for it, or choose another --out"
            ) from None
        except OSError as error:
            raise BatchError(
                f"the folder {self.path} cannot be made: "
                f"{broken_link(self.path) or error.strerror or error}"
            ) from error
        try:
            self._compare(self._begun())
            self._read_parts()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _begun(self) -> dict[str, Any]:
        """The content of `run.json`: the settings that this batch was begun with; empty for a new
        batch. Raises BatchError if it cannot be read, or is missing beside results."""
        try:
            return dict(json.loads((self.path / RUN).read_text(encoding="utf-8")))
        except FileNotFoundError:
            if any((self.path / DATA).glob("part-*.parquet")):
                raise BatchError(
                    f"{self.path} has results, but no {RUN} with their settings: choose another "
                    "--out"
                ) from None
            return {}
        except (OSError, ValueError) as error:
            raise BatchError(
                f"{self.path / RUN} cannot be read ({error}): choose another --out"
            ) from error

    def _compare(self, begun: Mapping[str, Any]) -> None:
        if not begun:
            return
        for name in (*self._identity, *LATER_SETTINGS):
            value = self._identity.get(name)
            if begun.get(name) != value:
                theirs, ours = _setting_text(name, begun.get(name)), _setting_text(name, value)
                raise BatchError(
                    f"{self.path} belongs to a batch with {theirs}, this one has {ours}: choose "
                    "another --out"
                )

    def _read_parts(self) -> None:
        for rest in (self.path / DATA).glob(_HALF_WRITTEN):
            rest.unlink(missing_ok=True)
        for part in sorted((self.path / DATA).glob("part-*.parquet")):
            try:
                with part.open("rb") as file:  # Arrow refuses paths that are not UTF-8
                    read = pq.read_table(file, columns=["path", "error"])
            except (OSError, pa.ArrowException) as error:
                raise BatchError(
                    f"{part} is damaged: remove it, and its pictures are done again"
                ) from error
            self._keys.update(map(key_digest, read.column("path").to_pylist()))
            whole = read.filter(read.column("error").is_null()).column("path")
            self.explained += len(whole.unique())
            if number := re.fullmatch(r"part-(\d+)", part.stem):
                self._number = max(self._number, int(number[1]) + 1)

    def begin(self, models: Sequence[Model]) -> None:
        """Writes the settings and weights of a new batch to `run.json`, for later runs to compare.

        models: as they were loaded. Raises BatchError if the batch was begun with other weights, or
        if the file cannot be written.
        """
        weights = {
            name: model.weights.sha256 for name, model in zip(self._models, models, strict=True)
        }
        self._identity["weights"] = weights
        if begun := self._begun():
            for name, model in zip(self._models, models, strict=True):
                if begun.get("weights", {}).get(name) != weights[name]:
                    now = model.info.title if model.stands_in_for else "other weights"
                    raise BatchError(
                        f"{self.path} was begun with other weights for {name} than there are now "
                        f"({now}): choose another --out"
                    )
            return
        with self._writing():
            text = json.dumps(self._identity, indent=2, ensure_ascii=False) + "\n"
            _write(self.path / RUN, text.encode())

    def is_done(self, key: str) -> bool:
        return key_digest(key) in self._keys

    def add(self, result: PictureResult) -> bool:
        """Adds a picture's results. Returns False if the picture was done already. The overlays are
        written at once, the rows with the next part. Raises BatchError if writing fails."""
        if self.is_done(result.key):
            return False
        if len(result.rows) != len(self._models):
            raise ValueError(f"{result.key} has {len(result.rows)} rows, not {len(self._models)}")
        with self._writing():
            for name, content in result.overlays:
                file = self.path / name
                file.parent.mkdir(parents=True, exist_ok=True)
                _write(file, content, is_flushed=False)
        self._keys.add(key_digest(result.key))
        self.explained += any(row["error"] is None for row in result.rows)
        if not self._unwritten:
            self._unwritten_since = time.monotonic()
        self._unwritten.append(PictureResult(result.key, result.rows, []))
        is_late = time.monotonic() > self._unwritten_since + PART_WRITTEN_AFTER_S
        if is_late or len(self._unwritten) >= PART_PICTURES:
            self.flush()
        return True

    def flush(self) -> None:
        """Writes all waiting rows as a part. Raises BatchError if that fails."""
        if not self._unwritten:
            return
        rows = [row for result in self._unwritten for row in result.rows]
        file = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file, compression="zstd")
        name = f"part-{self._number:06}"
        folder = self.path / DATA
        with self._writing():
            _write(folder / f"{name}.parquet", file.getvalue())
        self._number += 1
        self._unwritten.clear()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns an OSError into a BatchError that says how to resume."""
        try:
            yield
        except OSError as error:
            raise BatchError(
                f"the results cannot be written to {self.path}: {error.strerror or error}; "
                "once they can, the same command resumes"
            ) from error


def _write(path: Path, content: Any, is_flushed: bool = True) -> None:
    # The temporary name is always the same, so that the leftover of a killed batch is overwritten.
    with atomic_write(path, is_flushed, path.with_name(f".{path.name}.tmp")) as file:
        file.write(content)


def _setting_text(name: str, value: object) -> str:
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return f"{name} {value if value is not None else 'not set'}"
