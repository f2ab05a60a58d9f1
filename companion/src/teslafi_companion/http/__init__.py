"""What speaks HTTP: pages, OAuth, the API of linked Home Assistants and webhooks. Thin: the rules are in domain/."""
