"""Asks the advisory database for known vulnerabilities of all packages that requirements.txt
installs: `python -m scripts.audit`.

Exits with status 1 if there are any. If the database cannot be reached, one line says so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import requests
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"

DATABASE = os.environ.get("OSV_URL", "https://api.osv.dev/v1/query")
"""The API of OSV, which answers for unknown packages that nothing is known. The package index has
advisories, too, but a mirror without them looks as if there were none."""

ACCEPTED: dict[str, str] = {}
"""Advisories that do not affect this app, by id, each with the reason."""

_CONNECT_TIMEOUT_S = 5.0
_AUDIT_TIMEOUT_S = 180.0  # for all packages, some hundred requests


class UnreachableError(Exception):
    """The database does not answer; the message says how it failed."""


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of an installed package. fixed: versions without it, may be empty."""

    package: str
    version: str
    advisory: str
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        fixed = f"fixed in {' and '.join(self.fixed)}" if self.fixed else "not fixed yet"
        return f"{self.package} {self.version}: {self.advisory}, {fixed}"


def main() -> int:
    packages = dict(installed(requirements()))
    try:
        findings = [one for one in audit(packages) if one.advisory not in ACCEPTED]
    except UnreachableError as error:
        print(f"Not audited for known vulnerabilities: {error}")
        return 0
    for finding in findings:
        print(finding, file=sys.stderr)
    if not findings:
        print(f"No known vulnerabilities in {len(packages)} packages.")
    return 1 if findings else 0


def requirements() -> list[Requirement]:
    """The requirements in requirements.txt."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for written in lines if (line := written.split("#")[0].strip())]


def installed(given: list[Requirement]) -> Iterator[tuple[str, str]]:
    """Yields (name, version) of each package that these requirements install on this system."""
    waiting = [(requirement, frozenset(requirement.extras)) for requirement in given]
    done = set()
    while waiting:
        requirement, extras = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if requirement in given:
                raise SystemExit(f"{name} is not installed: make test installs it.") from None
            continue  # needed only on another system
        # Advisories do not know local versions such as 2.9.0+cpu.
        yield name, Version(found.version).public
        for line in found.requires or ():
            needed = Requirement(line)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *extras)):
                waiting.append((needed, frozenset(needed.extras)))


def audit(packages: dict[str, str]) -> list[Finding]:
    """The known vulnerabilities of these packages. packages: versions by name. Raises
    UnreachableError."""
    _check_reachable()
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder, "requirements.txt")
        pinned.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()))
        service = "--vulnerability-service osv --timeout 15 --format json --desc off"
        quiet = "--progress-spinner off --disable-pip --no-deps"
        command = [sys.executable, "-m", "pip_audit", "--osv-url", DATABASE]
        command += [*service.split(), *quiet.split(), "--requirement", str(pinned)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_AUDIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"{_host()} is too slow.") from None
    if not done.stdout.strip():
        if re.search(r"ConnectionError|ReadTimeout|ServiceError", done.stderr):
            raise UnreachableError(f"{_host()} stopped answering.")
        raise RuntimeError(f"pip-audit failed:\n{done.stderr}")
    return _findings(done.stdout, packages)


def _check_reachable() -> None:
    """Raises UnreachableError if the database does not answer: pip-audit prints a traceback."""
    query = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "0.1"}
    try:
        requests.post(DATABASE, json=query, timeout=_CONNECT_TIMEOUT_S).raise_for_status()
    except requests.RequestException as error:
        answer = error.response
        reason = "is not there" if answer is None else f"answers with {answer.status_code}"
        raise UnreachableError(f"{_host()} {reason}.") from None


def _findings(answer: str, packages: dict[str, str]) -> list[Finding]:
    reported = json.loads(answer)["dependencies"]
    skipped = {canonicalize_name(one["name"]) for one in reported if "skip_reason" in one}
    audited = {canonicalize_name(one["name"]) for one in reported} - skipped
    if missing := packages.keys() - audited:
        raise RuntimeError(f"pip-audit left out: {', '.join(sorted(missing))}")
    return [
        Finding(one["name"], one["version"], found["id"], tuple(found["fix_versions"]))
        for one in reported
        for found in one["vulns"]
    ]


def _host() -> str:
    return DATABASE.split("/")[2]


if __name__ == "__main__":
    sys.exit(main())
