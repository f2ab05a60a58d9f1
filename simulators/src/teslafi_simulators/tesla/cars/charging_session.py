"""A charge that somebody was billed for: at a Supercharger, with its fees and its invoice."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

RATE: Final = 0.42
"""Price of a kWh."""
PARKING_RATE: Final = 0.5
"""Price of a minute in the stall after the charge."""
FONT: Final = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
LEAST_ENERGY: Final = 0.1
"""kWh; less than that is no session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingSession:
    """One session, in epoch seconds and kWh. `parked`: minutes between the end of the charge and leaving the stall.

    `free`: with free Supercharging there is no fee and no invoice.
    """

    number: int
    vin: str
    begun: float
    ended: float
    energy: float
    parked: int = 0
    site: str = "Truckee, CA"
    country: str = "US"
    currency: str = "USD"
    free: bool = False

    @property
    def invoice_id(self) -> str:
        """What the invoice is called for by."""
        return f"file-{self.number:08d}"

    @property
    def file_name(self) -> str:
        """The invoice's name."""
        return f"INVOICE-{self.number:08d}.pdf"

    def answer(self) -> dict[str, Any]:
        """Return the entry of the charging history ("Charging endpoints")."""
        fees = [self._fee(1, "CHARGING", "kwh", self.energy, RATE)]
        if self.parked:
            fees.append(self._fee(2, "PARKING", "min", float(self.parked), PARKING_RATE))
        invoice = {"fileName": self.file_name, "contentId": self.invoice_id, "invoiceType": "IMMEDIATE"}
        return {
            "sessionId": self.number,
            "vin": self.vin,
            "siteLocationName": self.site,
            "chargeStartDateTime": _moment(self.begun),
            "chargeStopDateTime": _moment(self.ended),
            "unlatchDateTime": _moment(self.ended + self.parked * 60),
            "countryCode": self.country,
            "fees": fees,
            "billingType": "IMMEDIATE",
            "invoices": [] if self.free else [invoice],
            "vehicleMakeType": "TSLA",
        }

    def _fee(self, place: int, kind: str, unit: str, usage: float, rate: float) -> dict[str, Any]:
        rate = 0.0 if self.free else rate
        due = round(usage * rate, 2)
        return {
            "sessionFeeId": self.number * 10 + place,
            "feeType": kind,
            "currencyCode": self.currency,
            "pricingType": "NO_CHARGE" if self.free else "PAYMENT",
            "rateBase": rate,
            "rateTier1": 0,
            "rateTier2": 0,
            "rateTier3": None,
            "rateTier4": None,
            "usageBase": round(usage, 4),
            "usageTier1": 0,
            "usageTier2": 0,
            "usageTier3": None,
            "usageTier4": None,
            "totalBase": due,
            "totalTier1": 0,
            "totalTier2": 0,
            "totalTier3": 0,
            "totalTier4": 0,
            "totalDue": due,
            "netDue": due,
            "uom": unit,
            "isPaid": True,
            "status": "PAID",
        }

    def invoice(self) -> bytes:
        """Return the invoice: a PDF of one line."""
        line = f"{self.file_name}: {self.energy:.2f} kWh at {self.site}".replace("(", "").replace(")", "")
        content = f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET"
        objects = (
            "<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R {FONT} >>",
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        )
        document, offsets = "%PDF-1.4\n", []
        for place, body in enumerate(objects, 1):
            offsets.append(len(document))
            document += f"{place} 0 obj\n{body}\nendobj\n"
        start = len(document)
        document += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
        document += "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
        document += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
        return document.encode()


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()
