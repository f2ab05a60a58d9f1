"""The authorization server: how a Home Assistant is linked to an account."""
