"""The pictures of a folder or a pattern, and what is left out and why. Each real path is taken
once; links are followed without going in circles.

Two names of one file (hard links) are two pictures: neither of them is the real one, and some data
sets are built of them, with a label for each.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from gradcam_core.batch.listing.content import HEAD_BYTES, why_no_picture
from gradcam_core.batch.listing.pattern import Pattern, States
from gradcam_core.batch.listing.source import (
    Found,
    PictureSource,
    Skipped,
    key_digest,
    text_of_name,
)
from gradcam_core.errors import PicturesError

HIDDEN = "hidden"
SAME_PICTURE = "a link to a picture that is already included"
SAME_FOLDER = "a folder that is already included"
LEADS_NOWHERE = "a broken link"
IN_A_CIRCLE = "a link in a circle"
NO_FILE = "not a file, but a pipe or a device"
RESULTS = "the results of a batch"
A_FOLDER = "a folder; only a pattern with ** searches folders"

_OF_RESULTS = ("data", "overlays")  # folders that a batch makes
_MARKS_OF_RESULTS = {"data", "run.json", ".lock"}

_Id = tuple[int, int]
_ALL: States = frozenset({-1})  # without a pattern


@dataclass(frozen=True)
class _Place:
    """A folder or file on the walk. key: its path in the form of a key. states: see `Pattern`."""

    path: Path
    key: str
    states: States


def in_folder(
    root: Path, left_out: Path, suffixes: Collection[str], pattern: Pattern | None = None
) -> Iterator[Found]:
    """What is in a folder and all folders below it, in order of names; links come last.

    root: absolute. left_out: the folder of the results, which is not searched. suffixes: of
    pictures; see `why_no_picture`. pattern: leaves out all files that do not match. Raises
    PicturesError if the root cannot be read.
    """
    return _Walk(left_out, suffixes, pattern).found(root)


class _Walk:
    def __init__(self, left_out: Path, suffixes: Collection[str], pattern: Pattern | None) -> None:
        self._left_out, self._suffixes, self._pattern = left_out, suffixes, pattern
        self._visited: dict[_Id, States] = {}
        self._folder_links: deque[_Place] = deque()
        self._file_links: list[_Place] = []

    def found(self, root: Path) -> Iterator[Found]:
        start = _Place(root, "", self._pattern.start if self._pattern else _ALL)
        yield from self._tree(start)
        real = Path(os.path.realpath(root))
        above = {real, *real.parents}
        while self._folder_links:  # before links to files, which may lead into these
            link = self._folder_links.popleft()
            target = _real(link.path)
            if target is None:
                yield Skipped(link.key, LEADS_NOWHERE)
            elif Path(target) in above:
                yield Skipped(link.key, IN_A_CIRCLE)
            else:
                yield from self._tree(link)
        taken: set[bytes] = set()
        for link in self._file_links:
            file = _real(link.path)
            if file is None:
                yield Skipped(link.key, LEADS_NOWHERE)
                continue
            digest = key_digest(file)
            if digest in taken or self._is_taken(file):
                yield Skipped(link.key, SAME_PICTURE)
                continue
            taken.add(digest)
            yield self._file(link, Path(file).name)

    def _tree(self, top: _Place) -> Iterator[Found]:
        """Walks with an explicit stack: folders may be nested deeper than Python can recurse."""
        stack = [self._entries(top)]
        while stack:
            one = next(stack[-1], None)
            if one is None:
                stack.pop()
            elif isinstance(one, _Place):
                stack.append(self._entries(one))
            else:
                yield one

    def _entries(self, folder: _Place) -> Iterator[Found | _Place]:
        """What is in one folder; the folders in it are yielded as places."""
        try:
            its_id = _id(os.stat(folder.path))
            before = self._visited.get(its_id)
            if before is not None and folder.states <= before:
                yield Skipped(folder.key, SAME_FOLDER)
                return
            with os.scandir(folder.path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            if not folder.key:
                raise PicturesError(f"the folder {folder.path} {reason}") from error
            yield Skipped(folder.key, reason)
            return
        is_left_out = its_id == self._id_left_out()
        if folder.key and (is_left_out or folder.path == self._left_out):
            return
        has_results = {entry.name for entry in entries} >= _MARKS_OF_RESULTS
        if folder.key and has_results:
            yield Skipped(folder.key, RESULTS)
            return
        if its_id[1]:  # 0 on file systems that do not number files
            self._visited[its_id] = folder.states | (before or frozenset())
        for entry in entries:
            if entry.name in _OF_RESULTS and (is_left_out or has_results):
                if not is_left_out:
                    yield Skipped(entry.name, RESULTS)
                continue
            yield from self._entry(entry, folder, before)

    def _entry(
        self, entry: os.DirEntry[str], folder: _Place, before: States | None
    ) -> Iterator[Found | _Place]:
        """before: the states with which this folder was already searched; None if it was not."""
        key = text_of_name(f"{folder.key}/{entry.name}" if folder.key else entry.name)
        place = _Place(folder.path / entry.name, key, self._step(folder.states, entry.name))
        if self._pattern is None and entry.name.startswith("."):
            yield Skipped(key, HIDDEN)
            return
        try:
            is_link = entry.is_symlink()
            mode = os.stat(place.path).st_mode if is_link else None
            is_folder = stat.S_ISDIR(mode) if mode is not None else entry.is_dir()
            is_file = stat.S_ISREG(mode) if mode is not None else entry.is_file()
        except OSError as error:
            if self._is_met(place.states):
                yield Skipped(key, _of_a_link(error))
            return
        if is_folder:
            if self._pattern and not self._pattern.goes_on(place.states):
                if self._is_met(place.states):
                    yield Skipped(key, A_FOLDER)
            elif is_link:
                self._folder_links.append(place)
            else:
                yield place
        elif not self._is_met(place.states):
            return
        elif not is_file:
            yield Skipped(key, NO_FILE)
        elif is_link:
            self._file_links.append(place)
        elif before is None or not self._is_met(self._step(before, entry.name)):
            yield self._file(place, entry.name)

    def _step(self, states: States, name: str) -> States:
        return self._pattern.step(states, name) if self._pattern else states

    def _is_met(self, states: States) -> bool:
        return self._pattern.is_met(states) if self._pattern else True

    def _file(self, place: _Place, real_name: str) -> Found:
        """real_name: the name of the file itself, if place is a link."""
        try:
            reason = why_no_picture(place.path.name, self._suffixes, lambda: _head(place.path))
            if reason and real_name != place.path.name:
                reason = why_no_picture(real_name, self._suffixes, lambda: _head(place.path))
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
        return Skipped(place.key, reason) if reason else PictureSource(place.key, str(place.path))

    def _is_taken(self, real: str) -> bool:
        """Whether the file with this real path is among the pictures of a folder that was
        searched."""
        path = Path(real)
        try:
            states = self._visited.get(_id(os.stat(path.parent)))
        except OSError:
            return False
        if states is None or (self._pattern is None and path.name.startswith(".")):
            return False
        if not self._is_met(self._step(states, path.name)):
            return False
        return isinstance(self._file(_Place(path, "", states), path.name), PictureSource)

    def _id_left_out(self) -> _Id | None:
        try:
            return _id(os.stat(self._left_out))
        except OSError:
            return None


def _id(facts: os.stat_result) -> _Id:
    return facts.st_dev, facts.st_ino


def _real(path: Path) -> str | None:
    """Where a link leads; None if it has disappeared."""
    try:
        return os.path.realpath(path)
    except OSError:
        return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _of_a_link(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return LEADS_NOWHERE
    if error.errno == errno.ELOOP:
        return IN_A_CIRCLE
    return f"cannot be read: {error.strerror or error}"
