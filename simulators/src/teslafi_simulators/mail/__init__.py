"""A stand-in for a mail server: it takes mails by SMTP and shows them on a web page instead of delivering them."""

from .catcher import CaughtMail, MailCatcher

__all__ = ["CaughtMail", "MailCatcher"]
