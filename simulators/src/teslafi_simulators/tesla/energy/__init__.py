"""Simulated energy sites."""
