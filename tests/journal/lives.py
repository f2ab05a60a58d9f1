"""A car with a battery that lives the lives of the polling bench: what was true, and what samples would have seen.

Rated range follows the battery's energy, the state of charge is told in whole per cent, the energy added in hundredths.
Driving takes by mood 0.75 to 1.5 of rated consumption, standing takes 60 W awake and 4 W asleep.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from custom_components.teslafi.journal.sample import KM_PER_MILE, Sample, Wake
from tests.bench.policy import car as bench
from tests.bench.policy.lives import life_of

CAPACITY_KWH: Final = 75.0
KWH_PER_KM: Final = 0.15
EPOCH: Final = int(bench.EPOCH)
AWAKE_W: Final = 60.0
ASLEEP_W: Final = 4.0


@dataclass(frozen=True)
class Piece:
    """The battery between two moments, by steady power."""

    start: float
    end: float
    kwh_start: float
    kwh_end: float
    km_start: float
    km_end: float
    drive: bench.Drive | None = None
    charge: bench.Charge | None = None
    added: float = 0.0


@dataclass
class Truth:
    """What a car did."""

    pieces: list[Piece] = field(default_factory=list)

    def between(self, start: float, end: float) -> tuple[float, float, float]:
        """Return km driven, kWh added and kWh driven between two moments."""
        km = added = driven = 0.0
        for piece in self.pieces:
            length = piece.end - piece.start
            share = max(min(end, piece.end) - max(start, piece.start), 0.0) / length if length else 0.0
            if piece.drive is not None:
                km += (piece.km_end - piece.km_start) * share
                driven += (piece.kwh_start - piece.kwh_end) * share
            elif piece.charge is not None:
                added += piece.added * share
        return km, added, driven


class World:
    """One life: its truth, and samples of any moment."""

    def __init__(self, name: str, seed: int, days: float = 30.0) -> None:
        """Live it, as far as the battery is concerned."""
        self.life = life_of(name, seed)
        self.car = bench.Car(self.life, 9 * bench.MINUTE)
        self.end = days * bench.DAY
        self.random = Random(f"{name} {seed} battery")  # noqa: S311 - a simulation
        self.truth = Truth()
        self._live()
        self._starts = [piece.start for piece in self.truth.pieces]

    def _live(self) -> None:
        both: list[bench.Drive | bench.Charge] = [*self.life.drives, *self.life.charges]
        happenings = sorted(both, key=lambda one: one.start)
        now, kwh, km = 0.0, 0.8 * CAPACITY_KWH, 12_345.678
        for one in happenings:
            if one.start < now or one.end > self.end:
                continue
            kwh = self._stand(now, one.start, kwh, km)
            if isinstance(one, bench.Drive):
                moved = one.miles * KM_PER_MILE
                takes = min(moved * KWH_PER_KM * self.random.uniform(0.75, 1.5), kwh - 2)
                piece = Piece(one.start, one.end, kwh, kwh - takes, km, km + moved, drive=one)
            else:
                adds = max(min(one.kwh, 0.94 * CAPACITY_KWH - kwh), 0.0)
                piece = Piece(one.start, one.end, kwh, kwh + adds, km, km, charge=one, added=adds)
            self.truth.pieces.append(piece)
            now, kwh, km = one.end, piece.kwh_end, piece.km_end
        self._stand(now, self.end, kwh, km)

    def _stand(self, start: float, end: float, kwh: float, km: float) -> float:
        awake = sum(max(min(end, span_end) - max(start, span_start), 0.0) for span_start, span_end in self.car.natural)
        lost = min((awake * AWAKE_W + (end - start - awake) * ASLEEP_W) / 3.6e6, max(kwh - 3, 0))
        self.truth.pieces.append(Piece(start, end, kwh, kwh - lost, km, km))
        return kwh - lost

    def asleep(self, at: float) -> bool:
        """Say whether the car sleeps."""
        return not self.car.awake(at)

    def sample(self, at: float) -> Sample:
        """Return what a look would see, or that the car sleeps."""
        if self.asleep(at):
            return Sample(at=EPOCH + round(at), state=Wake.ASLEEP)
        index = max(bisect_right(self._starts, at) - 1, 0)
        piece = self.truth.pieces[index]
        share = min(max((at - piece.start) / (piece.end - piece.start), 0.0), 1.0) if piece.end > piece.start else 1.0
        kwh = piece.kwh_start + (piece.kwh_end - piece.kwh_start) * share
        km = piece.km_start + (piece.km_end - piece.km_start) * share
        driving = piece.drive is not None and at < piece.end
        charge = piece.charge if piece.charge is not None and piece.added > 0 and at < piece.end else None
        place = self.car.place(at) or (0.0, 0.0)
        plugged = charge is not None or self.car.plugged.at(at) is not None
        power = piece.added / (piece.end - piece.start) * 3600 / 0.92 if charge is not None else 0.0
        return Sample(
            at=EPOCH + round(at),
            state=Wake.ONLINE,
            odometer_km=round(km, 4),
            soc=float(round(kwh / CAPACITY_KWH * 100)),
            usable_soc=float(round(kwh / CAPACITY_KWH * 100)),
            range_km=round(kwh / KWH_PER_KM / KM_PER_MILE, 2) * KM_PER_MILE,
            driving=driving,
            speed_kmh=round((piece.km_end - piece.km_start) / (piece.end - piece.start) * 3600) if driving else None,
            latitude=place[0],
            longitude=place[1],
            zone="Home" if place == (50.0, 8.0) else "",
            charging_state="Charging" if charge is not None else "Stopped" if plugged else "Disconnected",
            charger_power_kw=float(round(power)),
            charger_volts=None if charge is None else 400.0 if charge.fast else 230.0,
            charger_amps=None if charge is None else 0.0 if charge.fast else power * 1000 / 690,
            charger_phases=None if charge is None or charge.fast else 2,
            energy_added_kwh=round(self._added(index, share), 2),
            fast_charger=charge is not None and charge.fast,
            software="2026.38.1",
            wheels="Apollo19",
            outside_c=12.0,
            inside_c=20.0,
        )

    def _added(self, index: int, share: float) -> float:
        """Return the car's counter: of the charge that goes on, or of the last one."""
        for at in range(index, -1, -1):
            piece = self.truth.pieces[at]
            if piece.charge is not None and piece.added > 0:
                return piece.added * (share if at == index else 1.0)
        return 0.0

    def samples(
        self, *, step: float = 60.0, lost: float = 0.0, seed: int = 0, outages: int = 0, hours: float = 8.0
    ) -> Iterator[Sample]:
        """Yield what polling each `step` seconds would have seen, had a share of polls and some hours not been lost."""
        random = Random(f"losses {seed}")  # noqa: S311 - a simulation
        starts = [random.uniform(0, self.end) for _ in range(outages)]
        dark = [(start, start + random.uniform(0.2, hours) * 3600) for start in starts]
        at = 0.0
        while at < self.end:
            if random.random() >= lost and not any(start <= at < end for start, end in dark):
                yield self.sample(at)
            at += step
