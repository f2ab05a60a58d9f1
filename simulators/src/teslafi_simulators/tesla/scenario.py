"""Named beginnings: who and what there is when a simulator starts."""

from collections.abc import Callable, Mapping
from typing import Final

from .accounts import Account, MfaDevice
from .applications import HOME_ASSISTANT_REDIRECTS, Application, full_application, monitoring_application
from .cars.car import Car, State, Supply
from .cars.charging_session import ChargingSession
from .cars.garage import OLD, RIGHT_HAND
from .energy.site import Site
from .state import SimulatorState

PASSCODE_SECRET: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # noqa: S105 - of a simulated account

ANNAS_MODEL_3: Final = "5YJ3E1EA7KF000001"
ANNAS_MODEL_Y: Final = "7SAYGDEE8NF000002"
ERIKS_MODEL_S: Final = "5YJSA7H4XFF000003"
SHARED_MODEL_3: Final = "LRW3E7FA9LC000004"
BOS_MODEL_Y: Final = "LRWYGCEK1PC000005"
ANNAS_SITE: Final = 2_252_012_345_678


def _applications(state: SimulatorState, redirect_uris: tuple[str, ...]) -> None:
    redirects = (*HOME_ASSISTANT_REDIRECTS, *redirect_uris)
    state.applications.add(monitoring_application(redirect_uris=redirects))
    state.applications.add(
        full_application(
            client_id="teslafi-controls",
            client_secret="ts-secret.controls",  # noqa: S106 - simulated
            redirect_uris=redirects,
        )
    )
    core = full_application(
        client_id="core-tesla-fleet",
        client_secret="ts-secret.core",  # noqa: S106 - simulated
        redirect_uris=redirects,
    )
    core.developer = "self-hoster@example.com"
    state.applications.add(core)
    state.applications.add(
        Application(
            client_id="open-source",
            name="Open source client",
            redirect_uris=redirects,
            scopes=monitoring_application().scopes,
        )
    )


def empty(state: SimulatorState, redirect_uris: tuple[str, ...]) -> None:
    """Applications alone; accounts and cars are added by the test."""
    _applications(state, redirect_uris)


def demo(state: SimulatorState, redirect_uris: tuple[str, ...]) -> None:
    """Three owners in three regions; Anna's Model 3 is on the road, her Model Y sleeps."""
    _applications(state, redirect_uris)
    anna = state.accounts.add(
        Account(
            email="anna@example.com",
            password="correct-horse-anna",  # noqa: S106 - of a simulated account
            region="na",
            full_name="Anna Demo",
            sub="0a0a0a0a-0000-4000-8000-000000000001",
            devices=[MfaDevice("Anna's phone", secret=PASSCODE_SECRET)],
            backup_passcodes=["3HZRJVC6D", "7KQWMTP2X"],
        )
    )
    erik = state.accounts.add(
        Account(
            email="erik@example.com",
            password="correct-horse-erik",  # noqa: S106
            region="eu",
            full_name="Erik Demo",
            sub="0a0a0a0a-0000-4000-8000-000000000002",
            locale="nl-NL",
        )
    )
    bo = state.accounts.add(
        Account(
            email="bo@example.com",
            password="correct-horse-bo",  # noqa: S106
            region="cn",
            full_name="Bo Demo",
            sub="0a0a0a0a-0000-4000-8000-000000000003",
        )
    )
    garage = state.garage
    _charged_before(garage.add(ANNAS_MODEL_3, anna.sub, "na", name="Roadrunner"), state.clock()).start_drive(
        miles=40, speed=52
    )
    garage.add(ANNAS_MODEL_Y, anna.sub, "na", model=RIGHT_HAND, name="Snowball").state = State.ASLEEP
    garage.add(ERIKS_MODEL_S, erik.sub, "eu", model=OLD, name="Oldtimer", signing="off", capacity=85.0).plug_in(
        Supply.THREE_PHASE
    )
    shared = garage.add(SHARED_MODEL_3, "0a0a0a0a-0000-4000-8000-00000000000f", "eu", name="Shared", hide_private=True)
    shared.drivers.add(erik.sub)
    garage.add(BOS_MODEL_Y, bo.sub, "cn", name="Xiao Bai")
    state.sites[ANNAS_SITE] = Site(number=ANNAS_SITE, owner=anna.sub, region="na", name="Anna's home")


HOME: Final = (37.4, -122.1)
"""Where the demo's Home Assistant stands."""
SCHEDULED: Final[Mapping[str, object]] = {
    "vehicle_state.car_version": "2026.38.7 4f2a1c9b7e30",
    "vehicle_state.api_version": 90,
    "charge_schedule_data": {
        "charge_schedules": [
            {
                "id": 1790000001,
                "name": "Nights at home",
                "days_of_week": 127,
                "enabled": True,
                "start_enabled": True,
                "start_time": 60,
                "end_enabled": True,
                "end_time": 360,
                "one_time": False,
                "latitude": HOME[0],
                "longitude": HOME[1],
            }
        ]
    },
    "preconditioning_schedule_data": {
        "precondition_schedules": [
            {
                "id": 1790000002,
                "name": "Workdays",
                "days_of_week": 62,
                "enabled": True,
                "precondition_time": 450,
                "one_time": False,
                "latitude": HOME[0],
                "longitude": HOME[1],
            }
        ]
    },
}
"""What a car with firmware since 2024.26 tells: a charge at night, and a warm cabin on workdays."""
CALIFORNIAN: Final[Mapping[str, object]] = {
    "vehicle_config.sun_roof_installed": 0,
    "vehicle_config.eu_vehicle": False,
    "vehicle_config.rhd": False,
    "vehicle_config.charge_port_type": "US",
    "vehicle_config.aux_park_lamps": "NaPremium",
    "vehicle_config.utc_offset": -28_800,
}
SHOWN: Final[Mapping[str, tuple[tuple[float, float], Mapping[str, object]]]] = {
    ANNAS_MODEL_3: (HOME, {**CALIFORNIAN, **SCHEDULED}),
    ANNAS_MODEL_Y: (
        HOME,
        {
            **CALIFORNIAN,
            "vehicle_config.car_type": "modely",
            "vehicle_config.exterior_color": "PearlWhite",
            "vehicle_config.wheel_type": "Gemini19",
        },
    ),
    ERIKS_MODEL_S: ((52.3702, 4.8952), {}),
    SHARED_MODEL_3: ((52.0907, 5.1214), {"vehicle_config.sun_roof_installed": 0}),
    BOS_MODEL_Y: ((31.2304, 121.4737), {"vehicle_config.car_type": "modely", "vehicle_config.sun_roof_installed": 0}),
}
"""VIN -> where the car stands, and what it tells otherwise than its recording."""


def showroom(state: SimulatorState, redirect_uris: tuple[str, ...]) -> None:
    """The demo's owners with cars as people know them, near the demo's home and in their owners' cities."""
    demo(state, redirect_uris)
    for car in state.garage:
        place, values = SHOWN[car.vin]
        for path, value in {**values, **_at(place)}.items():
            car.set_value(path, value)
        car.home = place
        if not car.data["vehicle_config"]["sun_roof_installed"]:
            car.data["vehicle_state"].pop("sun_roof_state", None)


def _at(place: tuple[float, float]) -> dict[str, float]:
    return {"drive_state.latitude": place[0], "drive_state.longitude": place[1]}


def _charged_before(car: Car, now: float) -> Car:
    """Let a car have been at Superchargers: paid, paid with a fee for the stall, and free of charge."""
    day = 86_400.0
    for place, (days, minutes, energy, parked, free) in enumerate(
        ((63, 24, 31.5, 0, True), (30, 35, 44.25, 12, False), (3, 28, 38.0, 0, False)), 1
    ):
        begun = now - days * day
        car.charging_sessions.append(
            ChargingSession(
                number=1_000_000 + place,
                vin=car.vin,
                begun=begun,
                ended=begun + minutes * 60,
                energy=energy,
                parked=parked,
                free=free,
            )
        )
    return car


SCENARIOS: Final[Mapping[str, Callable[[SimulatorState, tuple[str, ...]], None]]] = {
    "demo": demo,
    "empty": empty,
    "showroom": showroom,
}
