"""Each reason for which a command is not carried out has a sentence, with the way out where there is one."""

from collections.abc import Mapping
import re
from typing import Final

import pytest

from custom_components.teslafi.controls.gate import GateShut, Lock
from custom_components.teslafi.controls.sentences import OF_COMMANDS, sentence
from custom_components.teslafi.tesla import errors
from tests.integration.test_errors import every_error
from tests.translations import LANGUAGES, translations

from .test_feedback import keys_in_code

AGAIN: Final = ("Try again", r"Versuche es (\w+ )?erneut")
IN_CAR: Final = ("in the car", "im Fahrzeug")
RECONFIGURE: Final = ("TeslaFi > Reconfigure", "TeslaFi > Neu konfigurieren")
TURN_ON: Final = ("[Tt]urn on controls again", "[Ss]chalte die Steuerung (wieder|erneut) ein")
WAY_OUT: Final[Mapping[str, tuple[str, str]]] = {
    # Tesla
    "command_billing_limit": ("Raise the limit", "Erhöhe das Limit"),
    "command_not_registered": TURN_ON,
    "command_not_sent": AGAIN,
    "command_scope_missing": TURN_ON,
    "command_token_refused": AGAIN,
    "controls_grant_ended": RECONFIGURE,
    "mobile_access_disabled": ("Controls > Safety", "Fahrzeug > Sicherheit"),
    "not_found": ("Check in the Tesla app", "Prüfe in der Tesla-App"),
    "owner_api_closed": ("Sign in with", "Melde dich mit"),
    "tesla_error": AGAIN,
    "tesla_refused": AGAIN,
    "token_request_refused": ("Check it at developer", "Prüfe sie auf developer"),
    "too_many_commands": ("Wait a moment", "Warte einen Moment"),
    "vehicle_in_service": AGAIN,
    "wrong_region": ("Sign in again", "Melde dich erneut an"),
    # The car, by its protocol
    "command_not_understood": ("Update the car", "Aktualisiere das Fahrzeug"),
    "command_uncertain": ("Check its state", "Prüfe den Zustand"),
    "key_not_allowed": ("Check in the car", "Prüfe im Fahrzeug"),
    "key_not_paired": ("Pair cars", "Fahrzeuge koppeln"),
    "key_too_far": ("Use your phone key", "Nutze deinen Telefonschlüssel"),
    "session_out_of_step": AGAIN,
    "signing_required": RECONFIGURE,
    "vehicle_busy": AGAIN,
    "vehicle_not_awake": AGAIN,
    "vehicle_silent": AGAIN,
    # The car, in its own words
    "command_refused": ("The log has", "Im Protokoll steht"),
    "command_refused_cabin_comfort": ("Turn it on there", "Schalte sie dort ein"),
    "command_refused_cable_connected": ("Unplug it first", "Ziehe es zuerst ab"),
    "command_refused_car_wash": ("Turn it off", "Schalte ihn zuerst"),
    "command_refused_charge_complete": ("Raise the charge limit", "Erhöhe zuerst das Ladelimit"),
    "command_refused_closures_open": ("Close it first", "Schließe zuerst alles"),
    "command_refused_disabled": ("Check the settings in the car", "Prüfe die Einstellungen im Fahrzeug"),
    "command_refused_invalid_pin": ("Enter the PIN", "Gib die PIN ein"),
    "command_refused_invalid_value": ("Choose another", "Wähle einen anderen"),
    "command_refused_no_power": ("Check the station", "Prüfe die Station"),
    "command_refused_not_found": IN_CAR,
    "command_refused_not_in_park": AGAIN,
    "command_refused_not_near": AGAIN,
    "command_refused_speed_limit_active": ("Turn it off first", "Schalte es zuerst aus"),
    "command_refused_too_many_schedules": ("Remove one first", "Entferne zuerst einen"),
    "command_refused_transport": ("Do it in the car", "Mach es im Fahrzeug"),
    "command_refused_unplugged": ("Plug the car in first", "Stecke zuerst das Ladekabel an"),
    "command_refused_valet_active": ("Turn it off first", "Schalte ihn zuerst aus"),
    # The gate
    "controls_clock": ("Correct the time", "Korrigiere die Uhrzeit"),
    "controls_not_allowed": RECONFIGURE,
    "controls_not_enabled": RECONFIGURE,
    "controls_other_account": RECONFIGURE,
    "controls_other_instance": ("Link the companion again", "Verknüpfe den Companion erneut"),
    "controls_permit_invalid": RECONFIGURE,
    "controls_proof_outdated": RECONFIGURE,
    "controls_seal_broken": RECONFIGURE,
    "controls_second_factor": ("Turn it on there", "Schalte sie dort ein"),
    "controls_starting": AGAIN,
    "controls_subscription": ("Manage it at", "Verwalte es unter"),
    "controls_suspicious": ("It was me", "Das war ich"),
    "controls_unlinked": ("Link it again", "Verknüpfe es erneut"),
    "controls_unreachable": ("unlock when the companion answers", "entsperrt, sobald er antwortet"),
    # What is asked of the owner first
    "budget_reached": ("raise it in the options", "in den Optionen erhöhen"),
    "code_needed": ("Add it to the action", "Gib ihn bei der Aktion an"),
    "code_wait": ("Wait five minutes", "Warte fünf Minuten"),
    "code_wrong": AGAIN,
    "group_not_allowed": TURN_ON,
    "vehicle_not_allowed": TURN_ON,
}
"""Key of a sentence -> what says the way out, in English and German."""
NO_WAY: Final[Mapping[str, str]] = {
    "command_refused_already": "nothing is to be done",
    "command_refused_not_supported": "the car is built so",
    "command_unknown": "only a program of somebody else's can ask for it",
    "signing_unknown": "the car is built so",
}
"""Key of a sentence -> why there is no way out."""


def sentences(language: str) -> dict[str, str]:
    """Return the sentences by their keys."""
    texts = translations(language)
    return {key: text["message"] for key, text in texts["exceptions"].items()}


def every_reason() -> set[str]:
    """Return the key of the sentence for whatever a command can fail of."""
    kinds = [kind for kind in every_error() if kind is not errors.CommandRefused]
    of_tesla: list[Exception] = [kind.__new__(kind) for kind in kinds]
    of_cars: list[Exception] = [errors.CommandRefused(reason) for reason in (*errors.EXPLAINED, "not explained")]
    of_gate: list[Exception] = [GateShut(lock) for lock in Lock]
    asked = (sentence(error, target="", companion="") for error in (*of_tesla, *of_cars, *of_gate))
    without_controls = "controls_not_enabled"  # an action that meets an account without any: runtime.py
    return {str(error.translation_key) for error in asked} | keys_in_code() | {without_controls}


def test_every_reason_is_in_the_table() -> None:
    """One that is new says its way out, or why there is none."""
    assert WAY_OUT.keys() & NO_WAY.keys() == set()
    assert every_reason() == {*WAY_OUT, *NO_WAY}
    assert set(OF_COMMANDS.values()) <= WAY_OUT.keys()


@pytest.mark.parametrize("key", sorted(WAY_OUT))
def test_a_sentence_says_the_way_out(key: str) -> None:
    for language, way in zip(("en", "de"), WAY_OUT[key], strict=True):
        assert re.search(way, sentences(language)[key]), language


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_has_the_raw_words_of_a_car(language: str) -> None:
    raw = {*errors.EXPLAINED, *errors.REASONS, *errors.NEUTRAL_REASONS}
    raw = {word for word in raw if "_" in word or word.isupper()}
    said = sentences(language)
    assert {key for key in (*WAY_OUT, *NO_WAY) for word in raw if word in said[key]} == set()
