"""Passwords kept by AWS Secrets Manager."""
