"""The link to the companion: its client, the session of its tokens, its coordinator, its OAuth. Nothing of Tesla."""
