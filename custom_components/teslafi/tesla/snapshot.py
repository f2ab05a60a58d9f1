"""Everything Tesla's `vehicle_data` says about a car, as one typed tree.

Units are Tesla's own, whatever the car's screen shows: miles, mph, kW, kWh, V, A, bar, degrees Celsius. Moments are
epoch seconds or epoch milliseconds as noted, times of day are minutes after local midnight, doors and windows are
integers of which 0 is closed. Home Assistant converts units, nothing else does.

Every value may be missing: `None` means that Tesla sent null, sent its word for "nothing" or did not send the key.
`Snapshot.reported` tells the first two from the last.

Names are Tesla's keys, so that a path such as `drive_state.speed` means the same here and in the answer. Source of
names and types: recorded answers of 2018 to 2024, Tesla's documentation and the car's own data model
(`vehicle.proto` of Tesla's vehicle-command).
"""

from enum import StrEnum

from ..record import record

type Moment = int
"""Epoch milliseconds that some cars send as an object of seconds and nanoseconds."""


class CarState(StrEnum):
    """Whether the car can answer."""

    ONLINE = "online"
    ASLEEP = "asleep"
    OFFLINE = "offline"


@record
class GranularAccess:
    """What the owner lets this driver see."""

    hide_private: bool | None = None  # the owner hides private data (the location) from this driver


@record
class VehicleRecord:
    """The vehicle object itself, as `/products`, `/vehicles` and every `vehicle_data` answer carry it.

    Tokens of the car (`tokens`, `backseat_token`) and `cached_data` are never read.
    """

    id: int | None = None  # number of the car in this account, up to 17 digits
    id_s: str | None = None  # the same as text
    user_id: int | None = None
    vehicle_id: int | None = None  # number of the car for the streaming endpoint
    vin: str | None = None
    state: CarState | None = None  # online, asleep or offline
    in_service: bool | None = None  # in service mode at a service centre
    access_type: str | None = None  # OWNER or DRIVER
    api_version: int | None = None  # version of the car's data interface, 4 ... 71 ...
    command_signing: str | None = None  # off, allowed or required
    device_type: str | None = None  # vehicle
    display_name: str | None = None  # usually missing in vehicle_data: use vehicle_state.vehicle_name
    option_codes: str | None = None  # comma-separated; often missing and often wrong
    color: str | None = None
    calendar_enabled: bool | None = None
    ble_autopair_enrolled: bool | None = None
    mobile_access_disabled: bool | None = None
    release_notes_supported: bool | None = None
    granular_access: GranularAccess = GranularAccess()


@record
class ChargeState:
    """Battery and charging."""

    battery_heater_on: bool | None = None  # pack heater running
    battery_level: float | None = None  # %, as the car shows it
    usable_battery_level: float | None = None  # %, without the part a cold battery withholds
    battery_range: float | None = None  # miles, rated
    est_battery_range: float | None = None  # miles, from recent use
    ideal_battery_range: float | None = None  # miles
    charge_amps: float | None = None  # A, requested
    charge_current_request: float | None = None  # A, set
    charge_current_request_max: float | None = None  # A, the most that can be set here
    charge_enable_request: bool | None = None  # the car wants to charge
    charge_cable_unlatched: bool | None = None
    charge_energy_added: float | None = None  # kWh of this or the last session, as the car counts
    charge_miles_added_rated: float | None = None  # miles, same session
    charge_miles_added_ideal: float | None = None  # miles, same session
    charge_limit_soc: float | None = None  # %
    charge_limit_soc_min: float | None = None  # %
    charge_limit_soc_max: float | None = None  # %
    charge_limit_soc_std: float | None = None  # %
    charge_limit_reason: str | None = None
    charge_port_cold_weather_mode: bool | None = None
    charge_port_color: str | None = None
    charge_port_door_open: bool | None = None
    charge_port_latch: str | None = None  # Engaged also with nothing plugged in
    charge_rate: float | None = None  # mph of rated range
    charge_to_max_range: bool | None = None
    charger_actual_current: float | None = None  # A, drawn; 0 with direct current
    charger_pilot_current: float | None = None  # A, offered
    charger_phases: int | None = None  # 1; 2 means three-phase; 3 on some
    charger_power: float | None = None  # kW, whole
    charger_voltage: float | None = None  # V, per phase; 0 to 2 when idle
    charging_state: str | None = None
    conn_charge_cable: str | None = None
    fast_charger_brand: str | None = None
    fast_charger_present: bool | None = None
    fast_charger_type: str | None = None  # ACSingleWireCAN is ordinary alternating current
    managed_charging_active: bool | None = None
    managed_charging_user_canceled: bool | None = None
    managed_charging_start_time: int | None = None  # epoch seconds
    max_range_charge_counter: int | None = None
    minutes_to_full_charge: float | None = None  # min, to the charge limit
    minutes_to_charge_limit: float | None = None  # min
    not_enough_power_to_heat: bool | None = None
    off_peak_charging_enabled: bool | None = None
    off_peak_charging_times: str | None = None
    off_peak_hours_end_time: int | None = None  # minutes after local midnight
    one_time_soc_limit: float | None = None  # %
    outlet_state: str | None = None  # Cybertruck
    outlet_soc_limit: float | None = None  # %
    outlet_time_remaining: float | None = None
    power_feed_state: str | None = None  # Cybertruck
    power_feed_soc_limit: float | None = None  # %
    power_feed_time_remaining: float | None = None
    powershare_feature_allowed: bool | None = None
    powershare_feature_enabled: bool | None = None
    powershare_request: bool | None = None
    powershare_type: str | None = None
    powershare_status: str | None = None
    powershare_stop_reason: str | None = None
    powershare_instantaneous_load_kw: float | None = None  # kW
    powershare_vehicle_energy_left_hr: float | None = None  # h
    powershare_soc_limit: float | None = None  # %
    preconditioning_enabled: bool | None = None
    preconditioning_times: str | None = None
    scheduled_charging_mode: str | None = None
    scheduled_charging_pending: bool | None = None  # waiting for the time
    scheduled_charging_start_time: int | None = None  # epoch seconds, next start
    scheduled_charging_start_time_app: int | None = None  # minutes after local midnight
    scheduled_charging_start_time_minutes: int | None = None  # minutes after local midnight
    scheduled_departure_time: int | None = None  # epoch seconds, may be in the past
    scheduled_departure_time_minutes: int | None = None  # minutes after local midnight
    supercharger_session_trip_planner: bool | None = None  # the trip planner set the limit
    time_to_full_charge: float | None = None  # h, to the charge limit
    trip_charging: bool | None = None
    user_charge_enable_request: bool | None = None
    timestamp: int | None = None  # epoch milliseconds


@record
class ClimateState:
    """Heating, cooling and seats. Temperatures in degrees Celsius, whatever the screen shows."""

    inside_temp: float | None = None  # °C
    outside_temp: float | None = None  # °C
    driver_temp_setting: float | None = None  # °C
    passenger_temp_setting: float | None = None  # °C
    min_avail_temp: float | None = None  # °C
    max_avail_temp: float | None = None  # °C
    is_climate_on: bool | None = None
    is_auto_conditioning_on: bool | None = None
    is_preconditioning: bool | None = None  # started by the app or a schedule
    fan_status: int | None = None  # step, 0 = off
    hvac_auto_request: str | None = None
    climate_keeper_mode: str | None = None
    defrost_mode: int | None = None  # 0 off, 1 normal, 2 max
    is_front_defroster_on: bool | None = None
    is_rear_defroster_on: bool | None = None
    left_temp_direction: float | None = None  # internal to the car
    right_temp_direction: float | None = None  # internal to the car
    seat_heater_left: int | None = None  # 0 to 3; 2018 firmware sends a bool
    seat_heater_right: int | None = None
    seat_heater_rear_left: int | None = None
    seat_heater_rear_center: int | None = None
    seat_heater_rear_right: int | None = None
    seat_heater_rear_left_back: int | None = None
    seat_heater_rear_right_back: int | None = None
    seat_heater_third_row_left: int | None = None
    seat_heater_third_row_right: int | None = None
    seat_fan_front_left: int | None = None  # 0 to 3
    seat_fan_front_right: int | None = None
    auto_seat_climate_left: bool | None = None
    auto_seat_climate_right: bool | None = None
    auto_steering_wheel_heat: bool | None = None
    steering_wheel_heater: bool | None = None
    steering_wheel_heat_level: int | None = None  # 0, 1 or 3
    side_mirror_heaters: bool | None = None
    wiper_blade_heater: bool | None = None
    battery_heater: bool | None = None
    battery_heater_no_power: bool | None = None
    bioweapon_mode: bool | None = None
    allow_cabin_overheat_protection: bool | None = None
    supports_fan_only_cabin_overheat_protection: bool | None = None
    cabin_overheat_protection: str | None = None
    cabin_overheat_protection_actively_cooling: bool | None = None
    cop_activation_temperature: str | None = None
    cop_not_running_reason: str | None = None
    remote_heater_control_enabled: bool | None = None
    smart_preconditioning: bool | None = None
    timestamp: int | None = None  # epoch milliseconds


@record
class DriveState:
    """Movement, place and active route. Place and route keys need the location scope and endpoint."""

    shift_state: str | None = None  # null when parked
    speed: float | None = None  # mph, null when parked
    power: float | None = None  # kW, negative into the battery
    latitude: float | None = None  # degrees
    longitude: float | None = None  # degrees
    heading: float | None = None  # degrees, 0 = north
    gps_as_of: int | None = None  # epoch seconds of the fix
    location: str | None = None  # what TeslaFi.com's feed calls the place; Tesla names none
    native_latitude: float | None = None
    native_longitude: float | None = None
    native_type: str | None = None  # wgs or gcj
    native_location_supported: int | None = None
    active_route_destination: str | None = None
    active_route_energy_at_arrival: float | None = None  # %
    active_route_latitude: float | None = None  # degrees
    active_route_longitude: float | None = None  # degrees
    active_route_miles_to_arrival: float | None = None  # miles
    active_route_minutes_to_arrival: float | None = None  # min
    active_route_traffic_minutes_delay: float | None = None  # min
    timestamp: int | None = None  # epoch milliseconds


@record
class GuiSettings:
    """What the car's screen shows. It changes no value elsewhere. Its time stamp, new each time, is not read."""

    gui_24_hour_time: bool | None = None
    gui_charge_rate_units: str | None = None
    gui_distance_units: str | None = None  # mi/hr or km/hr
    gui_range_display: str | None = None
    gui_temperature_units: str | None = None
    gui_tirepressure_units: str | None = None
    show_range_units: bool | None = None


@record
class VehicleConfig:
    """How the car was built. The text `None` is Tesla's word for "not fitted". Its time stamp is not read either."""

    car_type: str | None = None
    trim_badging: str | None = None  # often not the trim sold
    car_special_type: str | None = None
    efficiency_package: str | None = None
    performance_package: str | None = None
    perf_config: str | None = None  # firmware of 2018
    exterior_color: str | None = None
    exterior_trim: str | None = None
    exterior_trim_override: str | None = None
    paint_color_override: str | None = None
    wheel_type: str | None = None
    roof_color: str | None = None
    spoiler_type: str | None = None
    third_row_seats: str | None = None
    interior_trim_type: str | None = None
    headlamp_type: str | None = None
    aux_park_lamps: str | None = None
    charge_port_type: str | None = None
    driver_assist: str | None = None
    front_drive_unit: str | None = None
    rear_drive_unit: str | None = None
    badge_version: int | None = None
    key_version: int | None = None
    rear_seat_heaters: int | None = None
    rear_seat_type: int | None = None
    seat_type: int | None = None
    sun_roof_installed: int | None = None  # 0 none, 1 or 2 fitted; some cars send a bool
    utc_offset: float | None = None  # s
    can_accept_navigation_requests: bool | None = None
    can_actuate_trunks: bool | None = None
    cop_user_set_temp_supported: bool | None = None
    dashcam_clip_save_supported: bool | None = None
    default_charge_to_max: bool | None = None
    ece_restrictions: bool | None = None
    eu_vehicle: bool | None = None
    has_air_suspension: bool | None = None
    has_ludicrous_mode: bool | None = None
    has_seat_cooling: bool | None = None
    motorized_charge_port: bool | None = None
    plg: bool | None = None  # power liftgate
    pws: bool | None = None  # pedestrian warning speaker
    rhd: bool | None = None  # right-hand drive
    supports_qr_pairing: bool | None = None
    use_range_badging: bool | None = None
    webcam_supported: bool | None = None
    webcam_selfie_supported: bool | None = None
    sentry_preview_supported: bool | None = None


@record
class SoftwareUpdate:
    """Software that waits, downloads or installs."""

    status: str | None = None
    version: str | None = None
    download_perc: float | None = None  # %
    install_perc: float | None = None  # %, 1 when idle
    expected_duration_sec: float | None = None  # s
    scheduled_time_ms: int | None = None  # epoch milliseconds
    warning_time_remaining_ms: float | None = None  # ms


@record
class SpeedLimitMode:
    """Speed limit mode."""

    active: bool | None = None
    pin_code_set: bool | None = None
    current_limit_mph: float | None = None  # mph
    max_limit_mph: float | None = None  # mph
    min_limit_mph: float | None = None  # mph


@record
class MediaInfo:
    """What is playing."""

    audio_volume: float | None = None  # 0 to audio_volume_max
    audio_volume_increment: float | None = None
    audio_volume_max: float | None = None
    media_playback_status: str | None = None
    now_playing_title: str | None = None
    now_playing_artist: str | None = None
    now_playing_album: str | None = None
    now_playing_station: str | None = None
    now_playing_duration: float | None = None  # ms
    now_playing_elapsed: float | None = None  # ms
    now_playing_source: str | None = None  # a number as text, or a name
    a2dp_source_name: str | None = None  # name of the phone


@record
class MediaState:
    """Whether media can be controlled from afar."""

    remote_control_enabled: bool | None = None


@record
class VehicleState:
    """Body, software, tyres and the like. Doors, boots and windows: 0 closed, anything else open."""

    odometer: float | None = None  # miles
    car_version: str | None = None  # version, blank, build
    locked: bool | None = None
    is_user_present: bool | None = None
    df: int | None = None  # driver's front door
    dr: int | None = None  # driver's rear door
    pf: int | None = None  # passenger's front door
    pr: int | None = None  # passenger's rear door
    ft: int | None = None  # front trunk
    rt: int | None = None  # rear trunk
    fd_window: int | None = None  # driver's front window
    fp_window: int | None = None  # passenger's front window
    rd_window: int | None = None  # driver's rear window
    rp_window: int | None = None  # passenger's rear window
    sun_roof_state: str | None = None
    sun_roof_percent_open: float | None = None  # %
    center_display_state: int | None = None
    sentry_mode: bool | None = None
    sentry_mode_available: bool | None = None
    valet_mode: bool | None = None
    valet_pin_needed: bool | None = None
    remote_start: bool | None = None
    remote_start_enabled: bool | None = None
    remote_start_supported: bool | None = None
    homelink_device_count: int | None = None
    homelink_nearby: bool | None = None
    dashcam_state: str | None = None
    dashcam_clip_save_available: bool | None = None
    webcam_available: bool | None = None
    api_version: int | None = None
    autopark_state_v2: str | None = None
    autopark_state_v3: str | None = None
    autopark_style: str | None = None
    last_autopark_error: str | None = None
    smart_summon_available: bool | None = None
    summon_standby_mode_enabled: bool | None = None
    calendar_supported: bool | None = None
    parsed_calendar_supported: bool | None = None
    notifications_supported: bool | None = None
    feature_bitmask: str | None = None
    santa_mode: int | None = None
    service_mode: bool | None = None
    service_mode_plus: bool | None = None
    tpms_pressure_fl: float | None = None  # bar
    tpms_pressure_fr: float | None = None  # bar
    tpms_pressure_rl: float | None = None  # bar
    tpms_pressure_rr: float | None = None  # bar
    tpms_last_seen_pressure_time_fl: int | None = None  # epoch seconds
    tpms_last_seen_pressure_time_fr: int | None = None  # epoch seconds
    tpms_last_seen_pressure_time_rl: int | None = None  # epoch seconds
    tpms_last_seen_pressure_time_rr: int | None = None  # epoch seconds
    tpms_rcp_front_value: float | None = None  # bar, recommended cold pressure
    tpms_rcp_rear_value: float | None = None  # bar, recommended cold pressure
    tpms_soft_warning_fl: bool | None = None
    tpms_soft_warning_fr: bool | None = None
    tpms_soft_warning_rl: bool | None = None
    tpms_soft_warning_rr: bool | None = None
    tpms_hard_warning_fl: bool | None = None
    tpms_hard_warning_fr: bool | None = None
    tpms_hard_warning_rl: bool | None = None
    tpms_hard_warning_rr: bool | None = None
    vehicle_name: str | None = None  # may be empty
    vehicle_self_test_progress: float | None = None
    vehicle_self_test_requested: bool | None = None
    software_update: SoftwareUpdate = SoftwareUpdate()
    speed_limit_mode: SpeedLimitMode = SpeedLimitMode()
    media_info: MediaInfo = MediaInfo()
    media_state: MediaState = MediaState()
    timestamp: int | None = None  # epoch milliseconds


@record
class ChargeSchedule:
    """One charge schedule."""

    id: int | None = None
    name: str | None = None
    days_of_week: int | None = None  # bits, bit 0 = Sunday
    start_enabled: bool | None = None
    start_time: int | None = None  # minutes after local midnight
    end_enabled: bool | None = None
    end_time: int | None = None  # minutes after local midnight; before start_time: the next day
    one_time: bool | None = None
    enabled: bool | None = None
    latitude: float | None = None  # degrees
    longitude: float | None = None  # degrees


@record
class PreconditionSchedule:
    """One preconditioning schedule."""

    id: int | None = None
    name: str | None = None
    days_of_week: int | None = None  # bits, bit 0 = Sunday
    precondition_time: int | None = None  # minutes after local midnight
    one_time: bool | None = None
    enabled: bool | None = None
    latitude: float | None = None  # degrees
    longitude: float | None = None  # degrees


@record
class ChargeScheduleData:
    """Charge schedules. Sent only when asked for by name."""

    charge_schedules: tuple[ChargeSchedule, ...] = ()
    charge_schedule_window: ChargeSchedule = ChargeSchedule()  # the one that applies now or next
    charge_buffer: float | None = None
    max_num_charge_schedules: int | None = None
    next_schedule: bool | None = None
    show_schedule_complete_state: bool | None = None
    timestamp: Moment | None = None  # epoch milliseconds; the car also sends {"seconds", "nanos"}


@record
class PreconditioningScheduleData:
    """Preconditioning schedules. Sent only when asked for by name."""

    precondition_schedules: tuple[PreconditionSchedule, ...] = ()
    preconditioning_schedule_window: PreconditionSchedule = PreconditionSchedule()  # the one that applies now or next
    max_num_precondition_schedules: int | None = None
    next_schedule: bool | None = None
    timestamp: Moment | None = None  # epoch milliseconds; the car also sends {"seconds", "nanos"}


@record
class Snapshot:
    """A car at one moment, or the newest known of each block when several answers were merged.

    Blocks are never None: one that was not sent has every field None.
    """

    vehicle: VehicleRecord = VehicleRecord()
    charge_state: ChargeState = ChargeState()
    climate_state: ClimateState = ClimateState()
    drive_state: DriveState = DriveState()
    gui_settings: GuiSettings = GuiSettings()
    vehicle_config: VehicleConfig = VehicleConfig()
    vehicle_state: VehicleState = VehicleState()
    charge_schedule_data: ChargeScheduleData = ChargeScheduleData()
    preconditioning_schedule_data: PreconditioningScheduleData = PreconditioningScheduleData()
    reported: frozenset[str] = frozenset()
    """Dotted paths (`drive_state.speed`, `vehicle.state`) whose key was in an answer, even with null, and the paths of
    the blocks (`drive_state`) that came as an object."""
