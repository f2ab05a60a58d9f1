"""The webhook sender: Chargebee's own retries, and everything that a network and an attacker add to them."""

import asyncio
from dataclasses import dataclass, field
import json
from typing import Any, Final

import aiohttp

from .clock import Clock
from .site import DAY, HOUR, MINUTE

RETRIES: Final = (2 * MINUTE, 6 * MINUTE, 30 * MINUTE, HOUR, 5 * HOUR, DAY, 2 * DAY)
"""After each failed try (support.chargebee.com, article 257941)."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=20)


@dataclass
class Delivery:
    """An event on its way."""

    event: dict[str, Any]
    due: float
    attempt: int = 0


@dataclass
class WebhookSender:
    """Delivers events to one address. What goes wrong on the way is set by the attributes, and holds until changed."""

    clock: Clock
    url: str = ""
    """Empty: nothing is sent."""
    user: str = "chargebee"
    password: str = ""
    copies: int = 1
    """How often each event is delivered: 0 loses it, 2 repeats it."""
    newest_first: bool = False
    delay: float = 0.0
    payment_details: bool = False
    """Send card, invoice and address along, as a site does that is not told otherwise."""
    waiting: list[Delivery] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """The status of each answer, 0 for none."""

    def take(self, event: dict[str, Any]) -> None:
        """Put an event on its way."""
        if self.url:
            self.waiting += [Delivery(event, self.clock() + self.delay) for _ in range(self.copies)]

    async def deliver(self) -> int:
        """Deliver what is due, one after another as Chargebee does; return how many were sent."""
        due = [delivery for delivery in self.waiting if delivery.due <= self.clock()]
        self.waiting = [delivery for delivery in self.waiting if delivery not in due]
        if self.newest_first:
            due.reverse()
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            for delivery in due:
                await self._send(session, delivery)
        return len(due)

    async def _send(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        status = await self.post(session, self._body(delivery.event))
        self.answers.append(status)
        if not 200 <= status < 300 and delivery.attempt < len(RETRIES):  # noqa: PLR2004 - success is 2xx
            wait = RETRIES[delivery.attempt]
            self.waiting.append(Delivery(delivery.event, self.clock() + wait, delivery.attempt + 1))

    def _body(self, event: dict[str, Any]) -> dict[str, Any]:
        if not self.payment_details:
            return event
        return event | {"content": event["content"] | PAYMENT_DETAILS}

    async def post(self, session: aiohttp.ClientSession, body: object, *, password: str | None = None) -> int:
        """Post one body, also a forged one; return the answer's status, 0 for none."""
        secret = self.password if password is None else password
        try:
            async with session.post(
                self.url,
                data=json.dumps(body),
                headers={
                    "Content-Type": "application/json",
                    "Authorization": aiohttp.encode_basic_auth(self.user, secret),
                },
            ) as answer:
                return answer.status
        except aiohttp.ClientError, TimeoutError:
            return 0

    async def run(self, every: float = 0.3) -> None:
        """Deliver until cancelled."""
        while True:
            await self.deliver()
            await asyncio.sleep(every)


PAYMENT_DETAILS: Final[dict[str, Any]] = {
    "card": {
        "first_name": "Marker-Cardholder",
        "iin": "411111",
        "last4": "9917",
        "masked_number": "411111******9917",
        "expiry_month": 11,
        "expiry_year": 2029,
        "billing_addr1": "17 Marker-Street",
        "object": "card",
    },
    "invoice": {
        "id": "Marker-Invoice-4711",
        "total": 300,
        "billing_address": {"line1": "17 Marker-Street", "city": "Marker-City", "zip": "99317"},
        "object": "invoice",
    },
}
"""What must never be stored, with words that a test can look for."""
