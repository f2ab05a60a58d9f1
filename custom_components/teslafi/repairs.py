"""Issues that only the owner can settle: raised from Tesla's refusals by a table, cleared when Tesla answers again."""

from collections.abc import Iterable, Mapping
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .tesla.errors import (
    BillingLimitReached,
    MobileAccessDisabled,
    NotRegistered,
    OwnerApiClosed,
    ScopeMissing,
    TeslaError,
    TokenRequestRefused,
)

BUDGET_REACHED: Final = "budget_reached"
COMPANION_UNLINKED: Final = "companion_unlinked"
CONTROLS_LOCKED: Final = "controls_locked"
STORAGE_FAILED: Final = "storage_failed"
SUBSCRIPTION_LAPSED: Final = "subscription_lapsed"

ACCOUNT_ISSUES: Final = (NotRegistered, OwnerApiClosed, TokenRequestRefused)
"""Settled when the account's list of products is answered."""
VEHICLE_ISSUES: Final = (BillingLimitReached, MobileAccessDisabled, ScopeMissing)
"""Settled when a car answers with data."""

LEARN_MORE: Final[Mapping[str, str]] = {
    BillingLimitReached.key: "https://developer.tesla.com/",
    NotRegistered.key: "https://developer.tesla.com/",
    OwnerApiClosed.key: "https://developer.tesla.com/docs/fleet-api",
    TokenRequestRefused.key: "https://developer.tesla.com/",
}


@callback
def raise_issue(hass: HomeAssistant, entry: ConfigEntry, error: TeslaError) -> None:
    """Raise the issue of this error, if it has one."""
    if isinstance(error, (*ACCOUNT_ISSUES, *VEHICLE_ISSUES)):
        ir.async_create_issue(
            hass,
            DOMAIN,
            _issue_id(entry, error.key),
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=error.key,
            translation_placeholders={"account": entry.title},
            learn_more_url=LEARN_MORE.get(error.key),
        )


@callback
def clear_issues(hass: HomeAssistant, entry: ConfigEntry, errors: Iterable[type[TeslaError]]) -> None:
    """Delete the issues of these errors."""
    for error in errors:
        ir.async_delete_issue(hass, DOMAIN, _issue_id(entry, error.key))


@callback
def note_budget(hass: HomeAssistant, entry: ConfigEntry, *, reached: bool) -> None:
    """Raise or delete the issue that the month's budget is used up."""
    issue_id = _issue_id(entry, BUDGET_REACHED)
    if not reached:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=BUDGET_REACHED,
        translation_placeholders={"account": entry.title},
    )


@callback
def note_storage(hass: HomeAssistant, *, failed: bool) -> None:
    """Raise or delete the issue that the disk does not take what has to be kept, whichever account it is of."""
    if not failed:
        ir.async_delete_issue(hass, DOMAIN, STORAGE_FAILED)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        STORAGE_FAILED,
        is_fixable=False,
        severity=ir.IssueSeverity.CRITICAL,
        translation_key=STORAGE_FAILED,
    )


@callback
def raise_link_issue(hass: HomeAssistant, entry: ConfigEntry, address: str) -> None:
    """Raise the issue that the companion ended the link."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(entry, COMPANION_UNLINKED),
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=COMPANION_UNLINKED,
        translation_placeholders={"account": entry.title, "address": address},
    )


@callback
def clear_link_issue(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete the issue that the companion ended the link."""
    ir.async_delete_issue(hass, DOMAIN, _issue_id(entry, COMPANION_UNLINKED))


@callback
def note_subscription(hass: HomeAssistant, entry: ConfigEntry, address: str, *, lapsed: bool) -> None:
    """Raise or delete the issue that the subscription has lapsed; `address` is the page where the owner mends it."""
    issue_id = _issue_id(entry, SUBSCRIPTION_LAPSED)
    if not lapsed:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=SUBSCRIPTION_LAPSED,
        translation_placeholders={"account": entry.title, "address": address},
        learn_more_url=address,
    )


@callback
def note_controls_locked(hass: HomeAssistant, entry: ConfigEntry, address: str, lock: str | None) -> None:
    """Raise the issue that controls are locked, with its reason, or delete it while they are open."""
    issue_id = _issue_id(entry, CONTROLS_LOCKED)
    if lock is None:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=f"{CONTROLS_LOCKED}_{lock}",
        translation_placeholders={"account": entry.title, "address": address},
        learn_more_url=f"{address}/links",
    )


@callback
def forget_issues(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete every issue of an entry that goes."""
    clear_issues(hass, entry, (*ACCOUNT_ISSUES, *VEHICLE_ISSUES))
    note_budget(hass, entry, reached=False)
    clear_link_issue(hass, entry)
    note_subscription(hass, entry, "", lapsed=False)
    note_controls_locked(hass, entry, "", None)


def _issue_id(entry: ConfigEntry, key: str) -> str:
    return f"{key}_{entry.entry_id}"
