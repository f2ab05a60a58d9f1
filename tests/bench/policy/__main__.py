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
from .rules import OURS, RULES

QUIETS = (9, 13)
"""Minutes without looks in which a car falls asleep."""
TUNED_ON = range(5)
"""Seeds of the months that the rule's numbers were chosen by."""
HELD_BACK = range(100, 105)
"""Seeds of months that nobody looked at while choosing them: these are reported."""

HEADER = (
    "rule", "$/car-month", "beyond h", "seen %", "start p50", "p95", "end p50", "p95",
    "chg start p50", "p95", "chg end p50", "p95", "miles off %", "kWh off %", "path p50", "p95", "state req",
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
        *(f"{quantile(result.gaps, share):.0f}" for share in (0.5, 0.95)),
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
    parser.add_argument("--seeds", type=int, default=5, help="how many months of each life")
    parser.add_argument("--tuning", action="store_true", help="the months of tuning instead of those held back")
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
        for seed in (TUNED_ON if chosen.tuning else HELD_BACK)[: chosen.seeds]:
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


type Figures = tuple[float, ...]


def figures(result: Result) -> Figures:
    """Return what rules are compared by, each the less the better."""
    months = max(result.months, 1)
    lists = (result.starts, result.ends, result.charge_starts, result.charge_ends)
    return (
        result.usd / months,
        result.beyond / months,
        1 - result.seen,
        *(quantile(values, share) for values in lists for share in (0.5, 0.95)),
        result.miles_off / max(result.miles, 1e-9),
        result.kwh_off / max(result.kwh, 1e-9),
    )


def dominates(one: Result, other: Result) -> bool:
    """Tell whether a rule is better than another in every column."""
    return all(mine < theirs for mine, theirs in zip(figures(one), figures(other), strict=True))


def aims(results: Results, lives: list[str], quiets: Iterable[int]) -> Iterable[tuple[str, bool]]:
    """Compare what was reached with what was aimed at."""
    economy, balanced, detailed, core = (summed(results, rule, lives, quiets) for rule in (*OURS, "core tesla_fleet"))
    months = balanced.months
    starts, ends = balanced.starts + balanced.charge_starts, balanced.ends
    yield f"balanced: {balanced.usd / months:.2f} USD <= 2.50", balanced.usd / months <= 2.5
    yield f"balanced: {100 * balanced.seen:.2f} % seen >= 99.5", balanced.seen >= 0.995
    for name, values in (("drives", balanced.starts), ("drives and charges", starts)):
        yield f"balanced: start of {name} p50 {quantile(values, 0.5):.0f} <= 30", quantile(values, 0.5) <= 30
        yield f"balanced: start of {name} p95 {quantile(values, 0.95):.0f} <= 60", quantile(values, 0.95) <= 60
    yield f"balanced: end p50 {quantile(ends, 0.5):.0f} <= 60", quantile(ends, 0.5) <= 60
    yield f"balanced: {balanced.beyond / months:.2f} h beyond natural <= 2.5", balanced.beyond / months <= 2.5
    pairs = list(zip(figures(economy), figures(core), strict=True))
    yield f"economy: {pairs[0][0]:.2f} USD <= {pairs[0][1]:.2f} of core", pairs[0][0] <= pairs[0][1]
    yield "economy: no worse than core in any other column", all(ours <= theirs for ours, theirs in pairs[1:])
    path = quantile(detailed.gaps, 0.5)
    yield f"detailed: path p50 {path:.0f} s <= 30", path <= 30
    yield f"detailed: {detailed.usd / months:.2f} USD < 6", detailed.usd / months < 6
    peers = [rule for rule in RULES if rule not in OURS]
    better = [
        f"{peer} beats {ours}"
        for peer, ours in product(peers, OURS)
        if dominates(summed(results, peer, lives, quiets), summed(results, ours, lives, quiets))
    ]
    yield f"no peer better than one of ours in all columns {better or ''}", not better
    if "commuter" in lives:
        commuters = summed(results, "balanced", ["commuter"], quiets)
        two = 2 * commuters.usd / commuters.months
        yield f"balanced: two commuters {two:.2f} USD < 10", two < 10


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
        if set(chosen.rules) == set(RULES):
            print()
            for aim, reached in aims(results, chosen.lives, quiets):
                print(f"- {'reached' if reached else 'MISSED'}: {aim}")
    if chosen.each:
        for name in chosen.lives:
            show(name, [row(rule, summed(results, rule, [name], QUIETS)) for rule in chosen.rules])


if __name__ == "__main__":
    main()
