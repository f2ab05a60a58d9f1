"""What a charge takes from its supply: amperes times volts times phases, with the number of phases corrected.

Tesla sends `charger_phases` 2 for three phases, some cars send the voltage between lines, and `charger_power` is
rounded to whole kilowatts. The correction is TeslaMate's, as docs/journal.md describes it, with the tolerance that the
rounding of the power asks for, since a few samples have to do.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final

from .sample import Sample

TOLERANCE: Final = 0.3
"""By how much the phases that the power tells may differ from a whole number."""
LINE_TOLERANCE: Final = 0.1
"""Share by which they may differ from √3 where the car sends the voltage between lines."""
ROUNDING_KW: Final = 0.5
THREE_PHASE: Final = 3
TESLAS_THREE_PHASE: Final = 2
LEAST_VA: Final = 100.0
"""Volts times amperes below which a cable draws nothing that counts."""
JOULES_PER_KWH: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Supply:
    """What was seen of a charge's supply, in sums: a charge may last for days."""

    samples: int = 0
    """With alternating current that counts."""
    phases: float = 0.0
    """Sum of the phases that were sent."""
    volt_amperes: float = 0.0
    """Sum of volts times amperes, of one phase."""
    power_kw: float = 0.0
    """Sum of the charger's power in the same samples."""
    va_seconds: float = 0.0
    kw_seconds: float = 0.0
    last_at: int | None = None
    last_va: float = 0.0
    last_kw: float = 0.0
    fast: bool = False
    """The car called the charger fast: direct current."""
    with_phases: int = 0
    without_phases: int = 0

    @property
    def dc(self) -> bool:
        """Whether it is direct current."""
        return self.fast or self.without_phases > self.with_phases

    def seen(self, sample: Sample) -> Supply:
        """Return the sums with one more sample; between two samples power changes steadily."""
        va = (sample.charger_volts or 0.0) * (sample.charger_amps or 0.0)
        kw = sample.charger_power_kw or 0.0
        seconds = 0 if self.last_at is None else sample.at - self.last_at
        counts = va >= LEAST_VA and bool(sample.charger_phases)
        flows = kw > 0 or va >= LEAST_VA
        return Supply(
            self.samples + counts,
            self.phases + (sample.charger_phases or 0 if counts else 0),
            self.volt_amperes + (va if counts else 0.0),
            self.power_kw + (kw if counts else 0.0),
            self.va_seconds + seconds * (va + self.last_va) / 2,
            self.kw_seconds + seconds * (kw + self.last_kw) / 2,
            sample.at,
            va,
            kw,
            self.fast or is_fast(sample),
            self.with_phases + (flows and bool(sample.charger_phases)),
            self.without_phases + (flows and not sample.charger_phases),
        )

    def corrected_phases(self) -> float | None:
        """Return the number of phases to reckon with; None when the charger's power is the better witness."""
        if not self.samples:
            return None
        told = self.phases / self.samples
        by_power = self.power_kw * 1000 / self.volt_amperes
        tolerance = TOLERANCE + ROUNDING_KW * 1000 * self.samples / self.volt_amperes
        if told == THREE_PHASE and abs(by_power / sqrt(3) - 1) <= LINE_TOLERANCE:
            return sqrt(3)
        if told == TESLAS_THREE_PHASE and abs(by_power - THREE_PHASE) <= tolerance:
            return float(THREE_PHASE)
        if told.is_integer() and (told == round(by_power) or abs(by_power - told) <= tolerance):
            return told
        return float(round(by_power)) if by_power >= 1 and abs(by_power - round(by_power)) <= TOLERANCE else None

    def used_kwh(self) -> tuple[float, bool] | None:
        """Return the energy between the first and the last sample, and whether amperes told it; None without any."""
        if not self.dc and (phases := self.corrected_phases()) is not None and self.va_seconds:
            return self.va_seconds * phases / JOULES_PER_KWH, True
        return (self.kw_seconds / 3600, False) if self.kw_seconds else None

    def power_now_kw(self) -> float:
        """Return the power of the last sample."""
        if not self.dc and (phases := self.corrected_phases()) is not None:
            return self.last_va * phases / 1000
        return self.last_kw


def is_fast(sample: Sample) -> bool:
    """Say whether a sample tells of direct current; ACSingleWireCAN is ordinary alternating current."""
    return bool(sample.fast_charger) and not (sample.fast_charger_type or "").startswith("AC")
