"""A strict stand-in for Tesla: sign-in, tokens and Fleet API on one port."""
