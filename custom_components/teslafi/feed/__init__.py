"""TeslaFi.com's feed as a source, for owners who stay with TeslaFi: reads what TeslaFi has seen, and cannot command."""
