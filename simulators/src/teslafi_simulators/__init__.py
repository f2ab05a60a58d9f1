"""Strict stand-ins for services that a test cannot reach."""
