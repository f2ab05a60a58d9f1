"""Tie reader, polling and what was last seen to Home Assistant."""
