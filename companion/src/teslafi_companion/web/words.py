"""Words of the machine -> words for people."""

from typing import Final

METHODS: Final = {
    "pwd": "password",
    "otp": "code from the app",
    "rc": "recovery code",
    "hwk": "passkey",
}

EVENTS: Final = {
    "account_created": "The account was made",
    "account_exported": "Your data was downloaded",
    "email_confirmed": "The address was confirmed",
    "email_change_asked": "Another address was asked for",
    "email_changed": "The address was changed",
    "factor_removal_asked": "The operator announced to remove two-factor authentication",
    "factor_removal_called_off": "The announced removal of two-factor authentication was called off",
    "factors_removed": "The operator removed two-factor authentication",
    "login_notices_set": "Mails about sign-ins were switched",
    "link_created": "A Home Assistant was linked",
    "link_denied": "A Home Assistant was refused",
    "link_renewed": "A Home Assistant was linked again",
    "link_revoked": "A Home Assistant was unlinked",
    "link_suspicious": "A link was used in an unusual way",
    "token_reuse_detected": "A link's old key was used again: the link was ended",
    "user_code_wrong": "A code of a Home Assistant was wrong",
    "mail_given_up": "A mail could not be delivered",
    "passkey_added": "A passkey was added",
    "passkey_removed": "A passkey was removed",
    "password_changed": "The password was changed",
    "password_reset_asked": "A link for a new password was asked for",
    "recovery_code_used": "A recovery code was used",
    "recovery_codes_made": "New recovery codes were made",
    "second_factor_failed": "A second factor was wrong",
    "second_factor_locked": "Too many wrong second factors",
    "session_created": "A session began",
    "session_ended": "A session was signed out",
    "sessions_ended": "Sessions were signed out",
    "sign_in_failed": "A password was wrong",
    "sign_in_incomplete": "The password was right, the second factor missing",
    "sign_in_locked": "Too many wrong passwords",
    "sign_in_success": "A sign-in",
    "step_up": "You confirmed that it is you",
    "step_up_failed": "A confirmation failed",
    "checkout_begun": "A checkout was begun",
    "portal_opened": "The subscription's portal was opened",
    "subscription_began": "The subscription gives access",
    "subscription_lapsed": "The subscription gives no access any more",
    "totp_enrolled": "An authenticator app was added",
    "totp_removed": "The authenticator app was removed",
}
"""Event of the audit log -> what its owner reads. An event without words is shown by its name."""
