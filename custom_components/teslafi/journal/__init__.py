"""Drives, charges, parking and battery of a car out of what was seen of it. No HTTP, no Home Assistant."""
