"""Keeps what commands carry out of the library's debug log: it writes request bodies, PINs and passwords among them."""

import logging
from typing import Final, override

from tesla_fleet_api.const import LOGGER as LIBRARY

BODY: Final = "Body: "
WITHHELD: Final = "Body: withheld"


class _WithoutBodies(logging.Filter):
    """Leaves of a request's body the fact alone. Signed messages are no better: their payload is readable."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str) and record.msg.startswith(BODY):
            record.msg, record.args = WITHHELD, ()
        return True


LIBRARY.addFilter(_WithoutBodies())
