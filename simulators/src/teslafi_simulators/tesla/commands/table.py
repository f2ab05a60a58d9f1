"""Every command: what it does, which scope it needs, and by which way cars take it ("Vehicle commands")."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..cars.car import Car
from . import body, charging, climate, media, schedules
from .outcome import Outcome
from .parameters import Parameters

type Effect = Callable[[Car, Parameters], Outcome]


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `charging`: the charging scope suffices. One that is not `rest` is signed or not at all.

    `signed_effect` differs where the signed form has other parameters.
    """

    effect: Effect
    charging: bool = False
    rest: bool = True
    signed_effect: Effect | None = None

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes of which one suffices."""
        return ("vehicle_cmds", "vehicle_charging_cmds") if self.charging else ("vehicle_cmds",)


COMMANDS: Final[dict[str, Command]] = {
    "actuate_trunk": Command(body.trunk),
    "add_charge_schedule": Command(schedules.add_charge, charging=True),
    "add_precondition_schedule": Command(schedules.add_precondition, charging=True),
    "adjust_volume": Command(media.volume),
    "auto_conditioning_start": Command(climate.start),
    "auto_conditioning_stop": Command(climate.stop),
    "batch_remove_charge_schedules": Command(schedules.clear_charge),
    "batch_remove_precondition_schedules": Command(schedules.clear_precondition),
    "cancel_software_update": Command(media.cancel_update),
    "charge_max_range": Command(charging.max_range, charging=True),
    "charge_port_door_close": Command(charging.close_port, charging=True),
    "charge_port_door_open": Command(charging.open_port, charging=True),
    "charge_standard": Command(charging.standard, charging=True),
    "charge_start": Command(charging.start, charging=True),
    "charge_stop": Command(charging.stop, charging=True),
    "clear_pin_to_drive_admin": Command(body.clear_pin_to_drive),
    "door_lock": Command(body.lock),
    "door_unlock": Command(body.unlock),
    "erase_user_data": Command(body.erase_user_data),
    "flash_lights": Command(body.honk_or_flash),
    "guest_mode": Command(body.guest_mode),
    "honk_horn": Command(body.honk_or_flash),
    "media_next_fav": Command(media.skip),
    "media_next_track": Command(media.skip),
    "media_prev_fav": Command(media.skip),
    "media_prev_track": Command(media.skip),
    "media_toggle_playback": Command(media.toggle),
    "media_volume_down": Command(media.quieter),
    "media_volume_up": Command(media.louder, rest=False),
    "navigation_gps_request": Command(media.navigate_gps),
    "navigation_request": Command(media.navigate, signed_effect=media.signed_navigate),
    "navigation_sc_request": Command(media.navigate_supercharger),
    "navigation_waypoints_request": Command(media.navigate_waypoints),
    "remote_auto_seat_climate_request": Command(climate.auto_seat),
    "remote_auto_steering_wheel_heat_climate_request": Command(climate.auto_wheel),
    "remote_boombox": Command(body.boombox),
    "remote_seat_cooler_request": Command(climate.seat_cooler),
    "remote_seat_heater_request": Command(climate.seat_heater),
    "remote_start_drive": Command(body.remote_start),
    "remote_steering_wheel_heat_level_request": Command(climate.wheel_level),
    "remote_steering_wheel_heater_request": Command(climate.wheel_heater),
    "remove_charge_schedule": Command(schedules.remove_charge, charging=True),
    "remove_precondition_schedule": Command(schedules.remove_precondition, charging=True),
    "reset_pin_to_drive_pin": Command(body.clear_pin_to_drive),
    "reset_valet_pin": Command(body.reset_valet_pin),
    "schedule_software_update": Command(media.schedule_update),
    "set_bioweapon_mode": Command(climate.bioweapon),
    "set_cabin_overheat_protection": Command(climate.overheat_protection),
    "set_charge_limit": Command(charging.set_limit, charging=True),
    "set_charging_amps": Command(charging.set_amps, charging=True),
    "set_climate_keeper_mode": Command(climate.keeper),
    "set_cop_temp": Command(climate.overheat_level),
    "set_keep_accessory_power_mode": Command(body.accessory_power, rest=False),
    "set_low_power_mode": Command(body.low_power, rest=False),
    "set_pin_to_drive": Command(body.pin_to_drive),
    "set_preconditioning_max": Command(climate.defrost),
    "set_scheduled_charging": Command(charging.scheduled_charging, charging=True),
    "set_scheduled_departure": Command(charging.scheduled_departure, charging=True),
    "set_sentry_mode": Command(body.sentry),
    "set_temps": Command(climate.temperatures),
    "set_valet_mode": Command(body.valet),
    "set_vehicle_name": Command(body.rename),
    "speed_limit_activate": Command(body.limit_activate),
    "speed_limit_clear_pin": Command(body.limit_clear),
    "speed_limit_clear_pin_admin": Command(body.limit_clear_admin),
    "speed_limit_deactivate": Command(body.limit_deactivate),
    "speed_limit_set_limit": Command(body.limit_set),
    "sun_roof_control": Command(body.sun_roof),
    "take_drivenote": Command(media.note),
    "trigger_homelink": Command(body.homelink),
    "upcoming_calendar_entries": Command(media.calendar),
    "window_control": Command(body.windows, signed_effect=body.signed_windows),
}


def execute(car: Car, name: str, sent: Parameters, *, signed: bool) -> Outcome:
    """Do what a command says; raise BadParameter when it cannot be read, KeyError for one that there is not."""
    command = COMMANDS[name]
    effect = (command.signed_effect if signed else None) or command.effect
    car.touch()
    outcome = effect(car, sent)
    car.executed.append((name, sent.sent(), outcome))
    return outcome
