"""Processes that are killed and disks that are full: the next start finds nothing that has to be
cleaned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import faults as breaking
from tests.support.faults import KINDS, Disk, Machine, Place
from tests.support.waiting import until


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    with Machine(breaking.own_mounts()) as one, Machine() as other:
        yield one, other


@pytest.fixture(params=KINDS)
def place(request, tmp_path: Path) -> Iterator[Place]:
    with breaking.place(request.param, tmp_path) as made:
        yield made


def test_two_processes_that_download_at_once_both_end_with_the_right_weights(
    place: Place, machines: tuple[Machine, Machine]
):
    started = breaking.at_once(place, machines)
    assert all(place.is_right(one) for one in started)
    assert len([asked for asked in place.server.requests if asked.startswith("GET")]) == 1
    assert place.leftovers() == []


def test_a_full_and_a_read_only_disk_lead_to_the_stand_in_and_heal(
    place: Place, machines: tuple[Machine, Machine], tmp_path: Path
):
    is_real = bool(breaking.own_mounts())  # else, writing is refused without a disk
    machine = machines[0 if is_real else 1]
    disk = Disk(machine, tmp_path / "disk", is_real)
    for fault, words in (("ENOSPC", "the disk is full"), ("EROFS", "cannot be written to")):
        disk.become(fault)
        started = machine.start(place, disk.folder)
        assert started.title == "EfficientNet-Lite0"
        assert words in started.reason
        disk.become("")
        assert disk.weights() == []
    assert place.is_right(machine.start(place, disk.folder))
    disk.become("EROFS")  # what is there needs no writing
    assert place.is_right(machine.start(place, disk.folder))
    disk.become("")


def test_an_app_that_is_killed_in_a_download_takes_it_along_and_the_next_start_heals(place: Place):
    with Machine() as machine:
        downloads = breaking.with_the_app_killed(place, machine)
    assert len(downloads) == 1
    until(lambda: not any(map(breaking.is_alive, downloads)))
    assert place.leftovers() != []
    assert place.is_right(place.start())
    assert place.leftovers() == []


def test_a_killed_server_serves_again_with_nothing_cleaned_by_hand(tmp_path: Path):
    # Downloads are under way, too.
    with breaking.serving_resnet50(tmp_path) as weights:
        rounds = list(breaking.kills(tmp_path, weights, rounds=1, seed=5))
    assert len(rounds) == 1  # `make faults` has more
    for killed in rounds:
        assert killed.before == killed.after
        assert killed.children
        assert killed.orphans == []
        assert killed.left_in_cache == []
