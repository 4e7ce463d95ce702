"""Break what the app rests on, and print what comes of it: its table in docs/benchmarks.md.

Downloads against a server on this machine that fails, disks that are full, processes and servers
that are killed. Each row is what was seen, not what was to be: one failure in any try shows. The
scenarios are those of the tests, in `tests.support.faults`.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.table import Row, print_table, print_versions
from tests.support import faults as breaking
from tests.support.faults import KINDS, SERVER_FAULTS, Disk, Machine, Place, Start
from tests.support.waiting import until

SERVES_WITHIN = 15.0  # seconds to reach, from the start of a server to its first right answer


@dataclass(frozen=True)
class Try:
    """in_the_end: what came of a fault, for people. is_right: whether that is as good as can be.
    heals: whether the next start, the fault gone, has the right weights and clean caches."""

    in_the_end: str
    is_right: bool
    heals: bool


def outcome(place: Place, started: Start) -> tuple[str, bool]:
    if place.is_right(started):
        return "the right weights", True
    reason = started.reason.replace("127.0.0.1", "the host")
    is_told = started.title == "EfficientNet-Lite0" and bool(reason)
    return f"stand-in: “{reason}”", is_told and not place.leftovers()


def heals(place: Place) -> bool:
    return place.is_right(place.start()) and not place.leftovers()


def after(scenario: Callable[[Place], Start]) -> Callable[[Place], Try]:
    """A scenario that breaks one start, followed by a start with the fault gone."""

    def tried(place: Place) -> Try:
        return Try(*outcome(place, scenario(place)), heals(place))

    return tried


def code_in_the_pickle(place: Place) -> Try:
    ran = place.folder / "ran"
    found = after(lambda place: breaking.with_code_in_the_pickle(place, ran))(place)
    return found if not ran.exists() else Try("the code ran", False, False)


def app_killed(place: Place) -> Try:
    with Machine() as machine:
        downloads = breaking.with_the_app_killed(place, machine)
    try:
        until(lambda: not any(map(breaking.is_alive, downloads)), 10)
    except AssertionError:
        return Try("its download went on", False, heals(place))
    return Try("its download ended with it", True, heals(place))


def at_once(machines: tuple[Machine, Machine]) -> Callable[[Place], Try]:
    def tried(place: Place) -> Try:
        started = breaking.at_once(place, machines)
        found = [outcome(place, one) for one in started]
        wrong = next((one for one in found if one[0] != "the right weights"), None)
        return Try(*(wrong or ("both: the right weights", True)), heals(place))

    return tried


def disk(machine: Machine, is_real: bool, fault: str) -> Callable[[Place], Try]:
    def tried(place: Place) -> Try:
        disk = Disk(machine, place.folder / "disk", is_real)
        disk.become(fault)
        found = outcome(place, machine.start(place, disk.folder))
        disk.become("")
        is_clean = not disk.weights()
        return Try(*found, is_clean and place.is_right(machine.start(place, disk.folder)))

    return tried


@contextmanager
def fresh_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def scenarios() -> Iterator[dict[str, Callable[[Place], Try]]]:
    """What is tried, by what it is called in the table."""
    mounts = breaking.own_mounts()
    with ExitStack() as stack:
        one = stack.enter_context(Machine(mounts))
        other = stack.enter_context(Machine())
        yield {
            **{
                f"the server: {words}": after(partial(breaking.with_server_fault, fault=fault))
                for fault, (words, _) in SERVER_FAULTS.items()
            },
            "another network's file, its hash right": after(breaking.with_another_network),
            "code in a pickle, its hash right": code_in_the_pickle,
            "a changed byte in the cache": after(breaking.with_a_changed_byte_in_the_cache),
            "the same without a network": after(
                partial(breaking.with_a_changed_byte_in_the_cache, fault="gone")
            ),
            "a full disk": disk(one, bool(mounts), "ENOSPC"),
            "a read-only cache": disk(one, bool(mounts), "EROFS"),
            "two processes download at once": at_once((one, other)),
            "the download is killed in the middle": after(breaking.with_the_download_killed),
            "the app is killed in the middle of a download": app_killed,
        }


def downloads(times: int) -> list[Row]:
    rows = []
    with scenarios() as tried:
        for title, scenario in tried.items():
            # A pickle is what a release has; the Hub's files are none.
            kinds = [kind for kind in KINDS if "pickle" not in title or kind == "release"]
            found = []
            for kind in kinds:
                for _ in range(times):
                    with fresh_folder() as folder, breaking.place(kind, folder) as place:
                        found.append(scenario(place))
            ends = "; ".join(dict.fromkeys(one.in_the_end for one in found))
            healed = sum(one.heals for one in found)
            is_good = all(one.is_right and one.heals for one in found)
            heal = "yes" if healed == len(found) else f"{healed} of {len(found)}"
            rows.append(Row(title, str(len(found)), ends, heal, is_good))
    return rows


def servers(rounds: int, seed: int) -> Row:
    with fresh_folder() as folder, breaking.serving_resnet50(folder) as weights:
        found = list(breaking.kills(folder, weights, rounds, seed))
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
    mounted = "a file system of its own" if breaking.own_mounts() else "writing refused"
    print(f"Each on the Hub and on a release page; full and read-only disk: {mounted}; "
          f"moments of `kill -9`: seed {options.seed}")  # fmt: skip
    rows = [*downloads(options.times), servers(options.rounds, options.seed)]
    print_table("Faults", ["Fault", "Times tried", "In the end", "The next start heals"], rows)


if __name__ == "__main__":
    main()
