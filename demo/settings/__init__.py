"""The settings of a server's owner. All environment variables of the app are read here, once, at
the start, so that invalid values are reported to the owner and not to the first visitor."""

from __future__ import annotations

import difflib
import os
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from demo.settings import values
from gradcam_core.errors import SettingsError
from gradcam_core.system.switches import ADDRESSES, is_on

_HELP_COLUMNS = 100


@dataclass(frozen=True)
class Settings:
    """host: a name or an address without brackets. port: None for the first free port. root_path:
    the path at which a proxy serves the app, such as "/cam", or the whole public address.
    framed_by: further sites that may show the page in a frame, as in a Content-Security-Policy.
    network_drops: whether networks may be dropped on the page; None if only this machine can reach
    it. is_live: whether visitors may use the live view of their cameras, see `takes_frames`.
    temporary_folder: None for the system's. is_shared: whether the page has a public link through
    Gradio's servers. memory_bytes: the limit for one forward pass; None derives it from the
    machine's memory. backend: "local" or "ray"."""

    host: str = "127.0.0.1"
    port: int | None = None
    ports_tried: int = 100
    root_path: str = ""
    framed_by: tuple[str, ...] = ()
    has_addresses: bool = True
    network_drops: bool | None = None
    is_live: bool = True
    memory_bytes: int | None = None
    stop_within_s: float = 25.0
    temporary_folder: Path | None = None
    is_shared: bool = False
    backend: str = "local"
    ray_address: str = ""
    replicas: int = 2
    threads: int = 1

    @property
    def takes_networks(self) -> bool:
        """Whether networks may be dropped on the page: as `network_drops` says; if it is None, only
        if no other machine can reach the page and this process computes."""
        if self.network_drops is not None:
            return self.network_drops
        return self.is_only_here and self.backend == "local"

    @property
    def is_only_here(self) -> bool:
        """Whether only this machine can reach the page, not through a proxy or a public link."""
        return values.is_loopback(self.host) and not self.root_path and not self.is_shared

    @property
    def takes_frames(self) -> bool:
        """Whether there is a live view; replicas do not support it."""
        return self.is_live and self.backend == "local"


@dataclass(frozen=True)
class Variable:
    """An environment variable. field: the field of `Settings` that it sets. read: converts its
    text, or raises ValueError. expected: a phrase that says what the text should be. meaning: its
    description in the help. takes_empty: whether an empty text is a value, too."""

    name: str
    field: str
    read: Callable[[str], Any]
    expected: str
    meaning: str
    takes_empty: bool = False

    def value(self, text: str, name: str) -> Any:
        """The value of a given text. name: what an error calls it: the variable's name or the
        option's. Raises SettingsError."""
        try:
            return self.read(text)
        except ValueError:
            raise SettingsError(f"{name} is {self.expected}, not {text!r}.") from None


def read_settings(environment: Mapping[str, str] = os.environ, **options: str | None) -> Settings:
    """The settings in an environment. Most empty variables count as not set.

    options: texts from the command line by field name, which override the environment; None for an
    option that was not given. Raises SettingsError for an invalid value.
    """
    found: dict[str, Any] = {}
    for variable in VARIABLES:
        option = options.get(variable.field)
        if option is not None:
            found[variable.field] = variable.value(option.strip(), f"--{variable.field}")
        elif variable.name in environment:
            text = environment[variable.name].strip()
            if text or variable.takes_empty:
                found[variable.field] = variable.value(text, variable.name)
    return replace(Settings(), **found)


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable whose name begins with GRADCAM_ but is not known."""
    known = [variable.name for variable in VARIABLES]
    sentences = []
    for name in sorted(environment):
        if name.startswith("GRADCAM_") and name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.8)
            meant = f"; did you mean {near[0]}?" if near else "."
            sentences.append(f"{name} is ignored: there is no such setting{meant}")
    return sentences


def variables_help(*only: str) -> str:
    """The help text about environment variables. only: fields of `Settings` whose variables to
    list; without any, all variables."""
    shown = [one for one in VARIABLES if not only or one.field in only]
    width = max(len(one.name) for one in shown) + 4
    lines = ["environment variables:"]
    for one in shown:
        lines += textwrap.wrap(
            f"{one.name:{width - 2}}{one.meaning}",
            _HELP_COLUMNS,
            initial_indent="  ",
            subsequent_indent=" " * width,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


VARIABLES = (
    Variable(
        "GRADIO_SERVER_NAME",
        "host",
        values.host,
        "a name or an address of this machine, such as 0.0.0.0 or ::1, without http:// and port",
        "address to listen on; by default 127.0.0.1, this machine only; 0.0.0.0 and :: mean all "
        "addresses of this machine",
    ),
    Variable(
        "GRADIO_SERVER_PORT",
        "port",
        values.whole_number(1, 65535),
        "a whole number from 1 to 65535",
        "port to listen on; by default the first free one from 7860",
    ),
    Variable(
        "GRADIO_NUM_PORTS",
        "ports_tried",
        values.whole_number(1, 50_000),
        "a whole number from 1 to 50000",
        "how many ports are tried from 7860 on; by default 100",
    ),
    Variable(
        "GRADIO_ROOT_PATH",
        "root_path",
        values.root_path,
        "a path such as /cam, or a whole address such as https://example.org/cam",
        "the path at which a proxy serves the app, such as /cam, whether the proxy strips it or "
        "not; or the whole public address, such as https://example.org/cam",
    ),
    Variable(
        "GRADCAM_FRAME_ANCESTORS",
        "framed_by",
        values.sites,
        "a list of sites such as https://lms.example.org, with commas between them",
        "sites that may embed the page in a frame, besides Hugging Face and the app's own, such "
        "as https://lms.example.org,https://*.example.com",
    ),
    Variable(
        ADDRESSES,
        "has_addresses",
        is_on,
        "on or off",
        "off: do not fetch pictures from addresses",
        takes_empty=True,  # an empty text has always meant off
    ),
    Variable(
        "GRADCAM_NETWORK_DROPS",
        "network_drops",
        is_on,
        "on or off",
        "whether visitors may drop their own networks on the page; by default only if no other "
        "machine can reach it",
    ),
    Variable(
        "GRADCAM_LIVE",
        "is_live",
        is_on,
        "on or off",
        "off: no live view of a visitor's camera",
    ),
    Variable(
        "GRADCAM_MEMORY",
        "memory_bytes",
        values.size_bytes,
        f"a size such as 4G, 512M or 1500 (megabytes), and from {values.LEAST_MEMORY_MB} "
        f"megabytes to {values.MOST_MEMORY_MB // 2**20} terabytes",
        "memory that one forward pass may take, such as 4G, 512M or 1500 (megabytes); a request "
        "that would take more is refused before it starts. By default half of the machine's "
        "memory beyond 2 GB",
    ),
    Variable(
        "GRADCAM_STOP_WITHIN",
        "stop_within_s",
        values.duration_s,
        "a time such as 30s, 2m or 30 (seconds)",
        "time that running requests have to finish after SIGTERM, such as 30s, 2m or 30 "
        "(seconds); by default 25",
    ),
    Variable(
        "GRADIO_TEMP_DIR",
        "temporary_folder",
        values.folder,
        "a folder",
        "the folder in which the app makes its own folder for uploads and results",
    ),
    Variable(
        "GRADCAM_BACKEND",
        "backend",
        values.backend,
        "local or ray",
        "where maps are computed: local (this process) or ray (the replicas of a cluster)",
    ),
    Variable(
        "RAY_ADDRESS",
        "ray_address",
        str,
        "the address of a Ray cluster",
        "the address of that cluster",
    ),
    Variable(
        "GRADCAM_REPLICAS",
        "replicas",
        values.whole_number(1),
        "a whole number from 1",
        "how many replicas `make serve-cluster` starts; by default 2",
    ),
    Variable(
        "GRADCAM_THREADS",
        "threads",
        values.whole_number(1),
        "a whole number from 1",
        "threads of each replica; by default 1",
    ),
)
