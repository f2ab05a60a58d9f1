"""Letters: how they are written, and the outbox that they wait in."""
