"""Permits: what a linked Home Assistant may control for a day, by whose consent, and the key share that goes along."""
