"""When to ask a car what: pure functions over (what is known, clock, budget). No HTTP, no Home Assistant."""
