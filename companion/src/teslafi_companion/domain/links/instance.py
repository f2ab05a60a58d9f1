"""Which Home Assistant is asking, in its own words: nobody has checked the name."""

from dataclasses import dataclass
import re
from typing import Final
import unicodedata

from .faults import INVALID_REQUEST, OAuthFault

_LONGEST_NAME: Final = 200
_SHOWN: Final = 64
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)


@dataclass(frozen=True)
class Instance:
    """A Home Assistant: the name its owner gave it, and a random identifier of its own making."""

    name: str
    id: str


def parse_instance(name: str | None, identifier: str | None) -> Instance:
    """Return who is asking, the name in one line of at most 64 characters; raises OAuthFault."""
    text = unicodedata.normalize("NFC", name or "").strip()
    # Categories C…, Zl and Zp: control and invisible characters, such as those that reverse the writing direction
    if not text or len(text) > _LONGEST_NAME or not text.isprintable():
        raise OAuthFault(INVALID_REQUEST, "instance_name is 1 to 200 printable characters")
    if identifier is None or not _IDENTIFIER.fullmatch(identifier):
        raise OAuthFault(INVALID_REQUEST, "instance_id is 16 to 64 of A-Z a-z 0-9 _ -")
    return Instance(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…", identifier)
