"""The gate: what may be controlled, by whose permit, and the only way to a commander."""
