"""What is kept on disk: the vault of grants and keys, and the last values across restarts."""
