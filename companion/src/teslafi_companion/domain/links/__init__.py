"""How a Home Assistant is linked to an account, and how the link is kept and ended."""
