"""Downloads the weights of all networks beforehand: `python -m scripts.weights`."""

from __future__ import annotations

import sys
from functools import partial

from tqdm import tqdm

from gradcam_core.errors import WeightsError
from gradcam_core.models.downloads.fetch import fetch
from gradcam_core.models.registry import list_models


def _show(bar: tqdm, share: float) -> None:
    bar.update(round(100 * share) - bar.n)


def main() -> int:
    failed = 0
    for info in list_models():
        source = info.weights_source
        if (path := source.cached()) is None:
            with tqdm(total=100, unit="%", desc=info.title) as bar:
                try:
                    path = fetch(source, partial(_show, bar))
                except WeightsError as error:
                    print(f"{info.title}: {error}", file=sys.stderr)
                    failed += 1
                    continue
        print(f"{info.title}: {path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
