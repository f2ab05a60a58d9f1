"""script/bench policy: every rule over the same lives, in one table."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from itertools import product
import sys
from time import process_time

from . import car as model
from .car import MINUTE, Car
from .lives import LIVES, life_of
from .measure import Result, measure, quantile
from .rules import RULES

QUIETS = (9, 13)
"""Minutes without looks in which a car falls asleep."""

HEADER = (
    "rule", "$/car-month", "beyond h", "seen %", "start p50", "p95", "end p50", "p95",
    "chg start p50", "p95", "chg end p50", "p95", "miles off %", "kWh off %", "path p50", "state req",
)  # fmt: skip


def row(name: str, result: Result) -> tuple[str, ...]:
    """Return a line of the table."""
    months = max(result.months, 1)
    return (
        name,
        f"{result.usd / months:.2f}",
        f"{result.beyond / months:.1f}",
        f"{100 * result.seen:.2f}",
        *(f"{quantile(values, share):.0f}" for values in (result.starts, result.ends) for share in (0.5, 0.95)),
        *(
            f"{quantile(values, share):.0f}"
            for values in (result.charge_starts, result.charge_ends)
            for share in (0.5, 0.95)
        ),
        f"{100 * result.miles_off / max(result.miles, 1e-9):.2f}",
        f"{100 * result.kwh_off / max(result.kwh, 1e-9):.2f}",
        f"{quantile(result.gaps, 0.5):.0f}",
        f"{result.states / months:.0f}",
    )


def show(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print a table that Markdown takes."""
    lines = [HEADER, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    print(f"\n## {title}\n")
    print(line(HEADER))
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for cells in rows:
        print(line(cells))


def arguments() -> Namespace:
    """Read what to run."""
    parser = ArgumentParser(description="Compare polling rules over simulated months.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--lives", nargs="*", default=list(LIVES), choices=list(LIVES))
    parser.add_argument("--rules", nargs="*", default=list(RULES), choices=list(RULES))
    parser.add_argument("--each", action="store_true", help="also a table for each life")
    return parser.parse_args()


type Results = dict[tuple[str, str, int], Result]


def run(chosen: Namespace) -> Results:
    """Live every life by every rule."""
    results: Results = {}
    began = process_time()
    for name in chosen.lives:
        for seed in range(chosen.seeds):
            life = life_of(name, seed)
            for quiet, rule in product(QUIETS, chosen.rules):
                car = Car(life, quiet * MINUTE)
                RULES[rule](car)
                results.setdefault((rule, name, quiet), Result()).add(measure(car))
        print(f"{name}: {process_time() - began:.0f} s of CPU", file=sys.stderr)
    return results


def summed(results: Results, rule: str, names: Iterable[str], quiets: Iterable[int]) -> Result:
    """Sum over lives and kinds of sleep."""
    result = Result()
    for name, quiet in product(names, quiets):
        result.add(results[rule, name, quiet])
    return result


def main() -> None:
    """Run what the arguments name."""
    chosen = arguments()
    print(model.__doc__)
    results = run(chosen)
    one = summed(results, chosen.rules[0], chosen.lives, QUIETS[:1])
    sessions = f"{one.drives} drives and {one.charges} charges over 3 minutes"
    print(f"{one.months} car-months of {len(chosen.lives)} lives for each kind of sleep: {sessions}.")
    for quiets, title in ((QUIETS[:1], "9 quiet minutes"), (QUIETS[1:], "13 quiet minutes"), (QUIETS, "Both")):
        show(title, [row(rule, summed(results, rule, chosen.lives, quiets)) for rule in chosen.rules])
    if chosen.each:
        for name in chosen.lives:
            show(name, [row(rule, summed(results, rule, [name], QUIETS)) for rule in chosen.rules])


main()
