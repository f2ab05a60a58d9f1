"""Charging that somebody was billed for: sessions at Superchargers with their fees and invoices. Home is not in it.

Energies in kWh, stays in minutes, money in the currency that is named beside it. The rules of decoding are those of
cars (`decode.py`); names are Tesla's, written as Python writes them (`chargeStartDateTime`: `charge_start_date_time`).

Source of names: Tesla's developer documents, "Charging endpoints".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
import math
import re
from typing import Final

from .decode import Block, Decoded, snake_cased

CHARGING: Final = "CHARGING"
"""The kind of fee that is for energy; others are for staying in the stall."""
KWH: Final = "kwh"
TIERS: Final = ("base", "tier1", "tier2", "tier3", "tier4")
"""A fee's usage and price come in parts: some places charge by how fast the car charges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingFee:
    """One fee of a session: what was used in `uom`, at which rate, and what is due for it in `currency_code`."""

    session_fee_id: int | None = None
    fee_type: str | None = None  # CHARGING, PARKING, …
    currency_code: str | None = None
    pricing_type: str | None = None  # PAYMENT or NO_CHARGE
    uom: str | None = None  # kwh or min
    rate_base: float | None = None
    rate_tier1: float | None = None
    rate_tier2: float | None = None
    rate_tier3: float | None = None
    rate_tier4: float | None = None
    usage_base: float | None = None
    usage_tier1: float | None = None
    usage_tier2: float | None = None
    usage_tier3: float | None = None
    usage_tier4: float | None = None
    total_base: float | None = None
    total_tier1: float | None = None
    total_tier2: float | None = None
    total_tier3: float | None = None
    total_tier4: float | None = None
    total_due: float | None = None
    net_due: float | None = None
    is_paid: bool | None = None
    status: str | None = None

    @property
    def usage(self) -> float | None:
        """What was used over all parts, in `uom`; None when no part is told."""
        told = [part for tier in TIERS if (part := getattr(self, f"usage_{tier}")) is not None]
        return math.fsum(told) if told else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingInvoice:
    """An invoice, which `Reader.charging_invoice` fetches by its `content_id`."""

    file_name: str | None = None
    content_id: str | None = None
    invoice_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingSession:
    """One session that was billed, or was free by the owner's contract."""

    session_id: int | None = None
    vin: str | None = None
    site_location_name: str | None = None
    charge_start_date_time: datetime | None = None
    charge_stop_date_time: datetime | None = None
    unlatch_date_time: datetime | None = None
    country_code: str | None = None
    billing_type: str | None = None
    vehicle_make_type: str | None = None
    fees: tuple[ChargingFee, ...] = ()
    invoices: tuple[ChargingInvoice, ...] = ()

    @property
    def energy(self) -> float | None:
        """What was charged, in kWh; None where energy was not what was billed."""
        charged = [fee.usage for fee in self.fees if fee.fee_type == CHARGING and (fee.uom or "").lower() == KWH]
        told = [usage for usage in charged if usage is not None]
        return math.fsum(told) if told else None

    @property
    def currency(self) -> str | None:
        """The currency of the fees by ISO 4217; None when there is none or more than one, or it is no such code."""
        named = {fee.currency_code.upper() for fee in self.fees if fee.currency_code is not None}
        code = named.pop() if len(named) == 1 else ""
        return code if _CODE.fullmatch(code) else None

    @property
    def cost(self) -> float | None:
        """What is due for the session, fees for staying included; None when no single currency makes a sum."""
        due = [fee.total_due for fee in self.fees if fee.total_due is not None]
        return round(math.fsum(due), 4) if due and self.currency is not None else None

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells this session from others, also where Tesla gives it no number."""
        return (self.session_id,) if self.session_id is not None else (self.vin, self.charge_start_date_time)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of the history, and how many sessions there are on all pages, where Tesla tells."""

    sessions: tuple[ChargingSession, ...] = ()
    total: int | None = None


@dataclass(frozen=True, slots=True)
class ChargingHistory:
    """Sessions, the newest first; `complete` is False when there were more than are fetched at once."""

    sessions: tuple[ChargingSession, ...]
    complete: bool


_SESSION: Final = Block(ChargingSession, "charging_history.data")
_CODE: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_LEVELS: Final = 5
"""Depth of an answer: an object, its list of sessions, a session, its list of fees, a fee."""


def decode_page(answer: object) -> Decoded[HistoryPage]:
    """Decode the object of an answer of `charging/history`."""
    raw = snake_cased(answer, _LEVELS)
    if type(raw) is not dict:
        return Decoded(HistoryPage(), ("charging_history",))
    malformed: list[str] = []
    sessions = _SESSION.read_list(raw.get("data"), [], malformed)
    total = raw.get("total_results")
    return Decoded(
        HistoryPage(sessions, total if type(total) is int and total >= 0 else None), tuple(dict.fromkeys(malformed))
    )


def newest_first(sessions: Iterable[ChargingSession]) -> tuple[ChargingSession, ...]:
    """Return the sessions by when they began; those without a beginning come last."""

    def begun(session: ChargingSession) -> float:
        start = session.charge_start_date_time
        return -math.inf if start is None else start.timestamp()

    return tuple(sorted(sessions, key=begun, reverse=True))
