"""Breaks what the app depends on, and prints the outcomes: its table in docs/benchmarks.md.

Downloads from a failing server on this machine, full disks, killed processes and servers. Each row
shows the outcomes of all tries, so that a single failure is visible. The scenarios are those of the
tests, in `tests.support.download_faults` and `killed_server`.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.table import Row, print_table, print_versions
from tests.support import download_faults
from tests.support.download_faults import SERVER_FAULTS
from tests.support.killed_server import kills, serving_resnet50
from tests.support.machine import Disk, Machine, own_mounts
from tests.support.processes import command_of
from tests.support.served_network import ServedNetwork, served_network
from tests.support.small_network import KINDS, Start
from tests.support.waiting import until

SERVES_WITHIN = 15.0  # target: seconds from the start of a server to its first right answer


@dataclass(frozen=True)
class Try:
    """in_the_end: the outcome of a fault, in words. is_right: whether it is the best possible.
    heals: whether the next start, without the fault, has the right weights and clean caches."""

    in_the_end: str
    is_right: bool
    heals: bool


def outcome(network: ServedNetwork, started: Start) -> tuple[str, bool]:
    if network.is_right(started):
        return "the right weights", True
    reason = started.reason.replace("127.0.0.1", "the host")
    is_told = started.title == "EfficientNet-Lite0" and bool(reason)
    return f"stand-in: “{reason}”", is_told and not network.leftovers()


def heals(network: ServedNetwork) -> bool:
    return network.is_right(network.start()) and not network.leftovers()


def after(scenario: Callable[[ServedNetwork], Start]) -> Callable[[ServedNetwork], Try]:
    """A scenario that breaks one start, followed by a start without the fault."""

    def tried(network: ServedNetwork) -> Try:
        return Try(*outcome(network, scenario(network)), heals(network))

    return tried


def code_in_the_pickle(network: ServedNetwork) -> Try:
    ran = network.folder / "ran"
    found = after(lambda network: download_faults.with_code_in_the_pickle(network, ran))(network)
    return found if not ran.exists() else Try("the code ran", False, False)


def app_killed(network: ServedNetwork) -> Try:
    with Machine() as machine:
        downloads = download_faults.with_the_app_killed(network, machine)
    try:
        until(lambda: not any(map(command_of, downloads)), 10)
    except AssertionError:
        return Try("its download went on", False, heals(network))
    return Try("its download ended with it", True, heals(network))


def at_once(machine: Machine) -> Callable[[ServedNetwork], Try]:
    def tried(network: ServedNetwork) -> Try:
        started = download_faults.at_once(network, machine)
        found = [outcome(network, one) for one in started]
        wrong = next((one for one in found if one[0] != "the right weights"), None)
        return Try(*(wrong or ("both: the right weights", True)), heals(network))

    return tried


def disk(machine: Machine, is_real: bool, fault: str) -> Callable[[ServedNetwork], Try]:
    def tried(network: ServedNetwork) -> Try:
        disk = Disk(machine, network.folder / "disk", is_real)
        disk.become(fault)
        found = outcome(network, machine.start(network, disk.folder))
        disk.become("")
        is_clean = not disk.weights()
        return Try(*found, is_clean and network.is_right(machine.start(network, disk.folder)))

    return tried


@contextmanager
def fresh_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def scenarios() -> Iterator[dict[str, Callable[[ServedNetwork], Try]]]:
    """The scenarios by their names in the table."""
    mounts = own_mounts()
    with Machine(mounts) as machine:
        yield {
            **{
                f"the server: {words}": after(
                    partial(download_faults.with_server_fault, fault=fault)
                )
                for fault, (words, _) in SERVER_FAULTS.items()
            },
            "another network's file, its hash right": after(download_faults.with_another_network),
            "code in a pickle, its hash right": code_in_the_pickle,
            "a changed byte in the cache": after(download_faults.with_a_changed_byte_in_the_cache),
            "the same without a network": after(
                partial(download_faults.with_a_changed_byte_in_the_cache, fault="gone")
            ),
            "a full disk": disk(machine, bool(mounts), "ENOSPC"),
            "a read-only cache": disk(machine, bool(mounts), "EROFS"),
            "two processes download at once": at_once(machine),
            "the download is killed in the middle": after(download_faults.with_the_download_killed),
            "the app is killed in the middle of a download": app_killed,
        }


def downloads(times: int) -> list[Row]:
    rows = []
    with scenarios() as tried:
        for title, scenario in tried.items():
            # Only releases have pickles; the Hub's files are not pickles.
            kinds = [kind for kind in KINDS if "pickle" not in title or kind == "release"]
            found = []
            for kind in kinds:
                for _ in range(times):
                    with fresh_folder() as folder, served_network(kind, folder) as network:
                        found.append(scenario(network))
            ends = "; ".join(dict.fromkeys(one.in_the_end for one in found))
            healed = sum(one.heals for one in found)
            is_good = all(one.is_right and one.heals for one in found)
            heal = "yes" if healed == len(found) else f"{healed} of {len(found)}"
            rows.append(Row(title, str(len(found)), ends, heal, is_good))
    return rows


def servers(rounds: int, seed: int) -> Row:
    with fresh_folder() as folder, serving_resnet50(folder) as weights:
        found = list(kills(folder, weights, rounds, seed))
    right = sum(one.before == one.after for one in found)
    orphans = sum(len(one.orphans) for one in found)
    clean = sum(not one.left_in_cache for one in found)
    longest = max(one.seconds for one in found)
    middle = sorted(one.seconds for one in found)[len(found) // 2]
    heal = "yes" if right == clean == len(found) else f"{min(right, clean)} of {len(found)}"
    return Row(
        "the server is killed (`kill -9`) at random moments under load",
        str(len(found)),
        f"answers right again after {middle:.1f} s (longest {longest:.1f} s, to reach "
        f"{SERVES_WITHIN:.0f} s); child processes left: {orphans}",
        heal,
        heal == "yes" and not orphans and longest <= SERVES_WITHIN,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="of each fault and kind of source")
    parser.add_argument("--rounds", type=int, default=8, help="servers killed")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments")
    options = parser.parse_args()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    logging.disable()
    print_versions("torch", "timm", "gradio", "huggingface_hub")
    mounted = "a file system of its own" if own_mounts() else "writing refused"
    print(f"Each on the Hub and on a release page; full and read-only disk: {mounted}; "
          f"moments of `kill -9`: seed {options.seed}")  # fmt: skip
    rows = [*downloads(options.times), servers(options.rounds, options.seed)]
    print_table("Faults", ["Fault", "Times tried", "In the end", "The next start heals"], rows)


if __name__ == "__main__":
    main()
