"""The one form in which VINs are kept and compared."""


def vin_of(text: str) -> str:
    """Return a VIN in upper case without blanks around it, whoever wrote it; "" for none."""
    return text.strip().upper()
