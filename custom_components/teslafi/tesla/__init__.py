"""Tesla's side: sign-in, grants, the reader and what its answers mean. Knows nothing of entities or the companion."""
