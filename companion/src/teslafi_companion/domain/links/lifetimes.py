"""How long codes, tokens and links live (OWASP ASVS 5.0, 10.4; RFC 8628; RFC 9700)."""

from datetime import timedelta
from typing import Final

CODE: Final = timedelta(seconds=60)
DUPLICATE: Final = timedelta(seconds=10)
"""A second use of a code so soon is the same request sent twice: refused, but not taken for theft."""
SPENT_CODE: Final = timedelta(days=1)
"""How long a spent code is remembered, so that its second use is recognised."""
ACCESS_TOKEN: Final = timedelta(minutes=15)
GRACE: Final = timedelta(seconds=60)
"""How long the refresh token before the newest still answers with that newest one in any case: requests cross."""
LOST_ANSWER: Final = timedelta(days=1)
"""How long it does so as long as nobody has used its successor: the answer was lost, or the power failed just then."""
KEY_OVERLAP: Final = timedelta(days=30)
"""How long refresh tokens of before a rotation of keys count: who is silent for longer is suspicious anyway."""
REFRESH_IDLE: Final = timedelta(days=90)
REFRESH_ABSOLUTE: Final = timedelta(days=365)
DEVICE_GRANT: Final = timedelta(minutes=10)
POLL: Final = timedelta(seconds=5)
SILENCE: Final = timedelta(days=30)
"""A refresh after so long without any contact is suspicious: an old backup may be speaking."""
CONTACT: Final = timedelta(minutes=1)
"""How often the time of last contact is worth writing down."""
FRESHEST: Final = timedelta(seconds=60)
"""The least `max_age` that is honoured: a proof and the click that follows it take a moment."""
