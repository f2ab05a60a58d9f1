"""Tests of reading the owner's history from before."""
