"""JSON API for linked Home Assistants."""
