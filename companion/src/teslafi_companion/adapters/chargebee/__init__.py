"""Subscriptions kept at Chargebee."""
