"""Passwords that were found in breaches, looked up by k-anonymity."""
