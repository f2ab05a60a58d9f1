"""Words of the machine -> words for people, marked for translation."""

from collections.abc import Mapping
from datetime import timedelta
import math
from typing import Final

from teslafi_companion.language import N_, Phrase

_LONGEST_MINUTES: Final = 90


def waiting(wait: timedelta) -> str | None:
    """Return the sentence after too many wrong attempts, or None when nothing has to be waited for."""
    minutes = math.ceil(wait.total_seconds() / 60)
    if minutes <= 0:
        return None
    if minutes == 1:
        return N_("Too many wrong attempts. Wait one minute and try again.")
    if minutes <= _LONGEST_MINUTES:
        return Phrase("Too many wrong attempts. Wait %(minutes)s minutes and try again.", minutes=minutes)
    return Phrase("Too many wrong attempts. Wait %(hours)s hours and try again.", hours=math.ceil(minutes / 60))


METHODS: Final = {
    "pwd": N_("password"),
    "otp": N_("authenticator app"),
    "rc": N_("recovery code"),
    "hwk": N_("passkey"),
}

EVENTS: Final = {
    "account_created": N_("Account created"),
    "account_exported": N_("Data downloaded"),
    "account_unlocked": N_("Account unlocked"),
    "billing_put_aside": N_("Subscription could not be checked"),
    "checkout_begun": N_("Checkout started"),
    "command": N_("Command sent to a car"),
    "controls_allowed": N_("Controls of a car allowed"),
    "controls_locked": N_("Controls of a car locked"),
    "email_change_asked": N_("Change of address requested"),
    "email_changed": N_("Address changed"),
    "email_confirmed": N_("Address confirmed"),
    "factor_removal_asked": N_("Removal of two-factor authentication announced by the operator"),
    "factor_removal_called_off": N_("Announced removal of two-factor authentication canceled"),
    "factors_removed": N_("Two-factor authentication removed by the operator"),
    "link_confirmed": N_("Unusual use of a link confirmed"),
    "link_created": N_("Home Assistant linked"),
    "link_denied": N_("Home Assistant refused"),
    "link_renewed": N_("Home Assistant linked again"),
    "link_revoked": N_("Home Assistant unlinked"),
    "link_suspicious": N_("Unusual use of a link"),
    "login_notices_set": N_("Emails about sign-ins turned on or off"),
    "mail_given_up": N_("Email not delivered"),
    "passkey_added": N_("Passkey added"),
    "passkey_removed": N_("Passkey removed"),
    "password_changed": N_("Password changed"),
    "password_reset_asked": N_("Link for a new password requested"),
    "permit_issued": N_("Permit to control a car renewed"),
    "permit_refused": N_("Permit to control a car refused"),
    "portal_opened": N_("Subscription portal opened"),
    "recovery_code_used": N_("Recovery code used"),
    "recovery_codes_made": N_("New recovery codes created"),
    "second_factor_failed": N_("Wrong second factor"),
    "second_factor_locked": N_("Too many wrong second factors"),
    "session_created": N_("Session started"),
    "session_ended": N_("Session signed out"),
    "sessions_ended": N_("Sessions signed out"),
    "sign_in_failed": N_("Wrong password"),
    "sign_in_incomplete": N_("Correct password without the second factor"),
    "sign_in_locked": N_("Too many wrong passwords"),
    "sign_in_success": N_("Signed in"),
    "signed_out_everywhere": N_("Signed out everywhere"),
    "step_up": N_("Confirmed that it's you"),
    "step_up_failed": N_("Confirmation failed"),
    "subscription_began": N_("Subscription started"),
    "subscription_lapsed": N_("Subscription ended"),
    "token_reuse_detected": N_("Link ended because its key was used twice"),
    "totp_enrolled": N_("Authenticator app added"),
    "totp_removed": N_("Authenticator app removed"),
    "user_code_wrong": N_("Wrong code of a Home Assistant"),
}
"""Event of the audit log -> what its owner reads. An event without words is shown by its name."""

KINDS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "commands": (N_("Commands"), frozenset({"command"})),
    "sign-ins": (
        N_("Sign-ins"),
        frozenset(
            {
                "session_created",
                "session_ended",
                "sessions_ended",
                "sign_in_failed",
                "sign_in_incomplete",
                "sign_in_locked",
                "sign_in_success",
                "signed_out_everywhere",
                "step_up",
                "step_up_failed",
            }
        ),
    ),
    "security": (
        N_("Security"),
        frozenset(
            {
                "account_created",
                "account_exported",
                "account_unlocked",
                "email_change_asked",
                "email_changed",
                "email_confirmed",
                "factor_removal_asked",
                "factor_removal_called_off",
                "factors_removed",
                "login_notices_set",
                "mail_given_up",
                "passkey_added",
                "passkey_removed",
                "password_changed",
                "password_reset_asked",
                "recovery_code_used",
                "recovery_codes_made",
                "second_factor_failed",
                "second_factor_locked",
                "totp_enrolled",
                "totp_removed",
            }
        ),
    ),
    "links": (
        N_("Home Assistants"),
        frozenset(
            {
                "controls_allowed",
                "controls_locked",
                "link_confirmed",
                "link_created",
                "link_denied",
                "link_renewed",
                "link_revoked",
                "link_suspicious",
                "permit_issued",
                "permit_refused",
                "token_reuse_detected",
                "user_code_wrong",
            }
        ),
    ),
    "subscription": (
        N_("Subscription"),
        frozenset(
            {"billing_put_aside", "checkout_begun", "portal_opened", "subscription_began", "subscription_lapsed"}
        ),
    ),
}
"""Word in the address -> what the filter is called, and the events that it shows. Every event is of one kind."""
