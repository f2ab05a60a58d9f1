"""The JSON API of linked Home Assistants; its contract is openapi.yaml."""
