"""OAuth authorization server: code with PKCE, device grant, rotating refresh tokens."""
