"""Keys kept by AWS KMS."""
