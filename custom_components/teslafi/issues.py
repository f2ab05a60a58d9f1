"""Issues that only the owner can settle: raised from Tesla's refusals by a table, cleared when Tesla answers again.

An issue belongs to whom it concerns: a car or site, or the account. One that stays is left as it is, so that the owner
who ignores it does not meet it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
BUDGET_SHORT: Final = "budget_short"
COMPANION_UNLINKED: Final = "companion_unlinked"
CONTROLS_LOCKED: Final = "controls_locked"
PRICES_UNKNOWN: Final = "prices_unknown"
STORAGE_FAILED: Final = "storage_failed"
SUBSCRIPTION_LAPSED: Final = "subscription_lapsed"

JOURNAL_DAMAGED: Final = "journal_damaged"
JOURNAL_TOO_NEW: Final = "journal_too_new"
JOURNAL_UNUSABLE: Final = "journal_unusable"
JOURNAL: Final = "journal"
"""The issue's id, whichever of the three troubles the journal has."""

SHARED: Final = "shared"
CONF_ENTRY_ID: Final = "entry_id"
"""What an issue's data tell its fix (`repairs.py`)."""
FIXABLE: Final = (NotRegistered, OwnerApiClosed, ScopeMissing)
"""Settled by a new sign-in, which Home Assistant can begin."""

ACCOUNT_ISSUES: Final = (BillingLimitReached, NotRegistered, OwnerApiClosed, TokenRequestRefused)
"""Concern the whole account, whichever request met them."""
SUBJECT_ISSUES: Final = (MobileAccessDisabled, ScopeMissing)
"""Concern the one car or site that the request was about."""

LEARN_MORE: Final[Mapping[str, str]] = {
    BillingLimitReached.key: "https://developer.tesla.com/",
    OwnerApiClosed.key: "https://developer.tesla.com/docs/fleet-api",
    TokenRequestRefused.key: "https://developer.tesla.com/",
}


@dataclass(frozen=True, slots=True)
class _Issue:
    """An issue of Home Assistant's; `fix_of` is the entry that its fix changes, None when it has none."""

    issue_id: str
    translation_key: str
    severity: ir.IssueSeverity = ir.IssueSeverity.WARNING
    fix_of: ConfigEntry | None = None
    learn_more_url: str | None = None

    def create(self, hass: HomeAssistant, placeholders: dict[str, str] | None) -> None:
        ir.async_create_issue(
            hass,
            DOMAIN,
            self.issue_id,
            data=None if self.fix_of is None else {CONF_ENTRY_ID: self.fix_of.entry_id},
            is_fixable=self.fix_of is not None,
            severity=self.severity,
            translation_key=self.translation_key,
            translation_placeholders=placeholders,
            learn_more_url=self.learn_more_url,
        )

    def delete(self, hass: HomeAssistant) -> None:
        ir.async_delete_issue(hass, DOMAIN, self.issue_id)


def issue_of(entry: ConfigEntry, error: TeslaError, key: str) -> str | None:
    """Return the id of the issue of an error about a VIN or site number (`key`), None when it has none."""
    if isinstance(error, ACCOUNT_ISSUES):
        return _issue_id(entry, error.key)
    return f"{_issue_id(entry, error.key)}_{key}" if isinstance(error, SUBJECT_ISSUES) else None


@callback
def raise_issue(hass: HomeAssistant, entry: ConfigEntry, error: TeslaError, *, key: str, name: str) -> None:
    """Raise the issue of this error about a car or site, if it has one."""
    if (issue_id := issue_of(entry, error, key)) is None:
        return
    _Issue(
        issue_id,
        error.key,
        severity=ir.IssueSeverity.ERROR,
        fix_of=entry if isinstance(error, FIXABLE) else None,
        learn_more_url=LEARN_MORE.get(error.key),
    ).create(hass, {"account": entry.title, "name": name})


@callback
def delete_issue(hass: HomeAssistant, issue_id: str) -> None:
    """Delete an issue."""
    ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def forget_old_issues(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete what version 0.1.0 raised for the account though it concerned a car."""
    for error in SUBJECT_ISSUES:
        delete_issue(hass, _issue_id(entry, error.key))


@callback
def note_shared(hass: HomeAssistant, entry: ConfigEntry, key: str, name: str, holder: ConfigEntry | None) -> None:
    """Raise the issue that another entry (`holder`) monitors a listed car or site, or delete it."""
    issue = _Issue(f"{_issue_id(entry, SHARED)}_{key}", SHARED)
    if holder is None:
        issue.delete(hass)
    else:
        issue.create(hass, {"account": entry.title, "holder": holder.title, "name": name})


@callback
def note_budget(hass: HomeAssistant, entry: ConfigEntry, *, short: bool, reached: bool) -> None:
    """Raise or delete the issues that the month's budget runs short, or is used up; never both."""
    for key, raised in ((BUDGET_SHORT, short and not reached), (BUDGET_REACHED, reached)):
        issue_id = _issue_id(entry, key)
        if not raised:
            ir.async_delete_issue(hass, DOMAIN, issue_id)
            continue
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id,
            data={CONF_ENTRY_ID: entry.entry_id},
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={"account": entry.title},
        )


@callback
def note_prices(hass: HomeAssistant, entry: ConfigEntry, charges: int) -> None:
    """Raise the issue that so many charges met no price of their price entity; with none, delete it."""
    issue = _Issue(_issue_id(entry, PRICES_UNKNOWN), PRICES_UNKNOWN)
    if charges:
        issue.create(hass, {"account": entry.title, "charges": str(charges)})
    else:
        issue.delete(hass)


@callback
def note_storage(hass: HomeAssistant, *, failed: bool) -> None:
    """Raise or delete the issue that data can't be written to the disk, whichever account it is of."""
    issue = _Issue(STORAGE_FAILED, STORAGE_FAILED, severity=ir.IssueSeverity.CRITICAL)
    if failed:
        issue.create(hass, None)
    else:
        issue.delete(hass)


@callback
def note_unlinked(hass: HomeAssistant, entry: ConfigEntry, address: str | None) -> None:
    """Raise the issue that the companion at `address` ended the link, or delete it without one."""
    issue = _Issue(_issue_id(entry, COMPANION_UNLINKED), COMPANION_UNLINKED, fix_of=entry)
    if address is None:
        issue.delete(hass)
    else:
        issue.create(hass, {"account": entry.title, "address": address})


@callback
def note_subscription(hass: HomeAssistant, entry: ConfigEntry, address: str, *, lapsed: bool) -> None:
    """Raise or delete the issue that the subscription has lapsed; `address` is the page where the owner renews it."""
    issue = _Issue(_issue_id(entry, SUBSCRIPTION_LAPSED), SUBSCRIPTION_LAPSED, learn_more_url=address)
    if lapsed:
        issue.create(hass, {"account": entry.title, "address": address})
    else:
        issue.delete(hass)


RECONFIGURED: Final = frozenset(
    {
        "grant_ended",
        "not_allowed",
        "other_account",
        "other_instance",
        "permit_invalid",
        "proof_outdated",
        "seal_broken",
        "unlinked",
    }
)
"""The locks of controls whose way out is *Reconfigure*; the others are settled at the companion, or by themselves."""


@callback
def note_controls_locked(hass: HomeAssistant, entry: ConfigEntry, address: str, lock: str | None) -> None:
    """Raise the issue that controls are locked, with its reason, or delete it while they are open."""
    issue_id = _issue_id(entry, CONTROLS_LOCKED)
    fix_of = entry if lock in RECONFIGURED else None
    issue = _Issue(issue_id, f"{CONTROLS_LOCKED}_{lock}", fix_of=fix_of, learn_more_url=f"{address}/links")
    if lock is None:
        issue.delete(hass)
    else:
        issue.create(hass, {"account": entry.title, "address": address})


@callback
def note_journal(hass: HomeAssistant, trouble: str | None) -> None:
    """Raise the issue that the journal cannot be written, with its reason, or delete it."""
    if trouble is None:
        ir.async_delete_issue(hass, DOMAIN, JOURNAL)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        JOURNAL,
        is_fixable=trouble == JOURNAL_DAMAGED,
        severity=ir.IssueSeverity.ERROR,
        translation_key=trouble,
    )


@callback
def forget_issues(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete every issue of an entry that goes; each carries the entry's id."""
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and entry.entry_id in issue_id:
            ir.async_delete_issue(hass, domain, issue_id)


def _issue_id(entry: ConfigEntry, key: str) -> str:
    return f"{key}_{entry.entry_id}"
