"""Numbers that are to be sent: templates and automations make some that are none."""

from collections.abc import Mapping
import math

from homeassistant.exceptions import ServiceValidationError

from .const import DOMAIN


def ensure_finite(value: object) -> None:
    """Raise ServiceValidationError when a number, wherever it stands in `value`, is none (NaN, infinity).

    Bounds do not keep them off: NaN is neither below nor above any.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="not_a_number")
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        ensure_finite(one)
