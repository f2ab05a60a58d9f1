"""The authorization server: how a Home Assistant is linked to an account, and how the link is kept and ended."""
