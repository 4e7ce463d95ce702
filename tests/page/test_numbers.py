"""Numbers are written the same way by Python and by the scripts of page and report."""

from __future__ import annotations

import itertools

from playwright.sync_api import Page

from gradcam_core.wording import (
    counted_percentage,
    decimal,
    decimal_beside,
    percentage,
    whole_percentage,
)

LIMITS = [0.8, -0.125]
WRITTEN = """async ([values, limits]) => {
    const numbers = await import(new URL("web/core/numbers.js", location.href));
    const { decimal, decimalBeside, percentage, wholePercentage } = numbers;
    return values.map((value) => [
        percentage(value), wholePercentage(value), decimal(value), decimalBeside(value, limits)]);
}"""


def test_python_and_the_browser_write_the_same(cat_page: Page):
    small = [0, 1e-9, 0.00099, 0.001, 0.0025, 0.004999, 0.005]
    edges = [*small, 0.125, 0.385, 0.5, 0.6245, 0.995, 0.9994, 0.9995, 1]
    shares = [*edges, *(n / 800 for n in range(801)), *(n / 997 for n in range(997))]
    values = list(itertools.chain.from_iterable((share, -share) for share in shares))
    expected = [
        [percentage(v), whole_percentage(v), decimal(v), decimal_beside(v, LIMITS)] for v in values
    ]
    assert cat_page.evaluate(WRITTEN, [values, LIMITS]) == expected


COUNTED = """async (counts) => {
    const { countedPercentage } = await import(new URL("web/core/numbers.js", location.href));
    return counts.map(([count, total]) => countedPercentage(count, total));
}"""


def test_counts_are_written_the_same(cat_page: Page):
    counts = [(0, 3), (3, 3), (2, 3), (1, 5000), (4999, 5000), (1, 800), (5, 5000)]
    assert cat_page.evaluate(COUNTED, counts) == [counted_percentage(*one) for one in counts]
