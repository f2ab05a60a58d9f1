"""Subscriptions: who may use what a subscription gives. Chargebee holds the truth, a mirror of it is kept here."""
