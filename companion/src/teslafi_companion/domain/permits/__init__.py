"""Permits: whether a linked Home Assistant may control something now, and the statement that says so."""
