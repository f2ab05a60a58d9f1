"""What a car charges from."""

from enum import StrEnum


class Supply(StrEnum):
    """Kinds of electricity."""

    SINGLE_PHASE = "single_phase"
    THREE_PHASE = "three_phase"
    DIRECT = "direct"
