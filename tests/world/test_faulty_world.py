"""Anything may be answered to anything at any time: a few fixed seeds, and as many as are asked for.

`script/chaos integration [ROUNDS]` says how many, from which seed, and prints a line for each.
"""

import os
import sys
from typing import Final

import pytest

from .rounds import Round, live_through
from .world import World

FIRST: Final = int(os.environ.get("TESLAFI_CHAOS_SEED", "1"))
ROUNDS: Final = int(os.environ.get("TESLAFI_CHAOS_ROUNDS", "0"))
SEEDS: Final = range(FIRST, FIRST + ROUNDS) if ROUNDS else (2, 3, 6, 7)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_round(world: World, seed: int) -> None:
    """Trouble comes, with restarts in between, and goes; nothing escapes, nothing runs away, and all is well again."""
    lived = await live_through(world, seed)
    if ROUNDS:
        tell(lived)
    assert lived.complaints == []


def tell(lived: Round) -> None:
    """Print what came of a round."""
    troubles = "; ".join(trouble.name for trouble in lived.troubles)
    sys.stdout.write(f"\nseed {lived.seed}: {troubles}\n  in trouble: {lived.troubled.row()}\n")
    sys.stdout.write(f"  afterwards: {lived.healthy.row()}\n")
    for complaint in lived.complaints:
        sys.stdout.write(f"  COMPLAINT: {complaint}\n")
