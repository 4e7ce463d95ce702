"""Processes that are killed and disks that are full: the next start finds nothing that has to be
cleaned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.download_faults import at_once, with_the_app_killed
from tests.support.machine import Disk, Machine, own_mounts
from tests.support.processes import command_of
from tests.support.served_network import ServedNetwork, served_network
from tests.support.small_network import KINDS
from tests.support.waiting import until


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """With mounts of its own where that is allowed."""
    with Machine(own_mounts()) as running:
        yield running


@pytest.fixture(params=KINDS)
def network(request, tmp_path: Path) -> Iterator[ServedNetwork]:
    with served_network(request.param, tmp_path) as made:
        yield made


def test_two_processes_that_download_at_once_both_end_with_the_right_weights(
    network: ServedNetwork, machine: Machine
):
    started = at_once(network, machine)
    assert all(network.is_right(one) for one in started)
    assert len([asked for asked in network.server.requests if asked.startswith("GET")]) == 1
    assert network.leftovers() == []


def test_a_full_and_a_read_only_disk_lead_to_the_stand_in_and_heal(
    network: ServedNetwork, machine: Machine, tmp_path: Path
):
    # Without mounts, writing is refused without a disk.
    disk = Disk(machine, tmp_path / "disk", is_real=bool(own_mounts()))
    for fault, words in (("ENOSPC", "the disk is full"), ("EROFS", "cannot be written to")):
        disk.become(fault)
        started = machine.start(network, disk.folder)
        assert started.title == "EfficientNet-Lite0"
        assert words in started.reason
        disk.become("")
        assert disk.weights() == []
    assert network.is_right(machine.start(network, disk.folder))
    disk.become("EROFS")  # what is there needs no writing
    assert network.is_right(machine.start(network, disk.folder))
    disk.become("")


@pytest.fixture
def doomed(network: ServedNetwork, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A process that may be killed: for the last of these tests the one of all of them."""
    if network.kind == KINDS[-1]:
        yield request.getfixturevalue("machine")
        return
    with Machine() as running:
        yield running


def test_an_app_that_is_killed_in_a_download_takes_it_along_and_the_next_start_heals(
    network: ServedNetwork, doomed: Machine
):
    downloads = with_the_app_killed(network, doomed)
    assert len(downloads) == 1
    until(lambda: not any(map(command_of, downloads)))
    assert network.leftovers() != []
    assert network.is_right(network.start())
    assert network.leftovers() == []
