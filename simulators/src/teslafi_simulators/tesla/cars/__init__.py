"""Simulated cars: what they are, what they do, and the physics between."""
