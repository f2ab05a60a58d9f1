/**
 * The views of the dashboard TeslaFi: one for each car and one for each energy site, made of Home Assistant's own
 * cards from the entities that exist. Entities are found by their device and translation key, so renaming them changes
 * nothing. The header's words are a template, which Home Assistant renders again whenever a state in it changes.
 */

const DOMAIN = "teslafi";

/** Return the path of a drawing beside this module, of the same version. */
function drawing(name) {
  const { pathname, search } = new URL(name + new URL(import.meta.url).search, import.meta.url);
  return pathname + search;
}

/** The entities of one device: `get("sensor.charge_state_battery_level", …)` is the id of the first that exists. */
class Entities {
  constructor(hass, deviceId) {
    this.ids = new Map();
    for (const entry of Object.values(hass.entities)) {
      if (entry.platform === DOMAIN && entry.device_id === deviceId && !entry.hidden && hass.states[entry.entity_id]) {
        const domain = entry.entity_id.split(".")[0];
        this.ids.set(`${domain}.${entry.translation_key ?? ""}`, entry.entity_id);
      }
    }
  }

  get(...keys) {
    return keys.map((key) => this.ids.get(key)).find((id) => id !== undefined);
  }

  has(...keys) {
    return this.get(...keys) !== undefined;
  }

  /** Return the entities of a domain. */
  of(domain) {
    return [...this.ids].filter(([key]) => key.startsWith(`${domain}.`)).map(([, id]) => id);
  }
}

/** Return a tile with the entity's own name: the view says which car it is. */
const tile = (entity, more = {}) => (entity ? { type: "tile", entity, name: { type: "entity" }, ...more } : undefined);
const heading = (text, icon) => ({ type: "heading", heading: text, icon });
const when = (entity, state) => [{ condition: "state", entity, state }];

/** Return a section, or nothing when none of its cards exists. */
function section(text, icon, cards) {
  const present = cards.filter((card) => card !== undefined);
  return present.length ? { type: "grid", cards: [heading(text, icon), ...present] } : undefined;
}

const isCar = (entities) => entities.has("sensor.state") && entities.has("sensor.charge_state_battery_level");
const SITE_POWERS = ["solar_power", "load_power", "grid_power", "battery_power", "generator_power"];
const isSite = (entities) => SITE_POWERS.some((key) => entities.has(`sensor.${key}`));

/** Return a headline of a template. A name may come from somebody else's account: it is text there, not template or link. */
const title = (name) => `# {{ ${JSON.stringify((name ?? "").replace(/[[\]<>*_`!\\\n]/g, " "))} }}`;

/** Return the template of the header: what the car does, in words, and how old that is. */
function carHeader(name, entities, text) {
  const value = (...keys) => {
    const id = entities.get(...keys);
    return id ? `states('${id}')` : "''";
  };
  const shown = (key) => {
    const id = entities.get(key);
    return id ? `states('${id}', rounded=True, with_unit=True)` : "''";
  };
  const time = (key) => {
    const id = entities.get(key);
    return id ? `(as_datetime(states('${id}'), none))` : "none";
  };
  const place = entities.of("device_tracker")[0];
  const state = entities.get("sensor.state");
  return [
    `{%- set nothing = ['unknown', 'unavailable', ''] -%}`,
    `{%- set charging = ${value("sensor.charge_state_charging_state")} -%}`,
    `{%- set gear = ${value("sensor.drive_state_shift_state")} -%}`,
    `{%- set state = ${value("sensor.state")} -%}`,
    `{%- set full = ${time("sensor.charge_state_minutes_to_full_charge")} -%}`,
    `{%- set arrival = ${time("sensor.drive_state_active_route_minutes_to_arrival")} -%}`,
    // Whoever sends a destination to the car writes no link and no picture here
    `{%- set target = ${value("sensor.drive_state_active_route_destination", "text.navigation_destination")}` +
      ` | regex_replace('[][<>*_\`!#]', ' ') | replace('\\n', ' ') | trim -%}`,
    `{%- set place = ${place ? `states('${place}')` : "''"} -%}`,
    `{%- set zone = '' if place in nothing + ['not_home'] else ` +
      `(${place ? `state_translated('${place}')` : "''"} if place == 'home' else place) -%}`,
    `{%- set car = states['${state}'] -%}`,
    // Reported anew without a change: data came that left the state as it was
    `{%- set again = car is not none and car.last_reported > car.last_updated -%}`,
    `{%- set read = state_attr('${state}', 'data_at') -%}`,
    `{%- set at = car.last_reported if read and again else read -%}`,
    `{%- set minutes = ((now() - at).total_seconds() / 60) | int if at else none %}`,
    title(name),
    ``,
    `{% if state == 'unavailable' -%}`,
    `**${text.unavailable}**`,
    `{%- elif state in nothing -%}`,
    `**${text.unknown}**`,
    `{%- elif state == 'waking' -%}`,
    `**${text.waking}**{% if zone %} · {{ zone }}{% endif -%}`,
    `{%- elif charging in ['charging', 'starting'] -%}`,
    `**${text.charging_at} {{ ${shown("sensor.charge_state_charger_power")} }}**` +
      `{%- if full %} · ${text.full_at} {{ (full | as_local).strftime('%H:%M') }}{% endif -%}`,
    `{%- elif gear in ['d', 'r', 'n', 'drive', 'reverse', 'neutral'] -%}`,
    `**${text.driving}**{% if target not in nothing %} ${text.to} {{ target }}{% endif -%}`,
    `{%- if arrival %} · ${text.arrives_at} {{ (arrival | as_local).strftime('%H:%M') }}{% endif -%}`,
    `{%- elif state == 'asleep' -%}`,
    `**${text.asleep}**{% if zone %} · {{ zone }}{% endif -%}`,
    `{%- elif state == 'offline' -%}`,
    `**${text.offline}**{% if zone %} · {{ zone }}{% endif -%}`,
    `{%- elif minutes is none -%}`,
    `**${text.online}**`,
    `{%- else -%}`,
    `**${text.parked}**{% if zone %} · {{ zone }}{% endif -%}`,
    `{%- endif -%}`,
    `{%- if minutes is not none %} · {% if minutes < 1 %}${text.just_now}` +
      `{% elif minutes < 2 * 60 %}${text.ago_minutes.replace("#", "{{ minutes }}")}` +
      `{% elif minutes < 48 * 60 %}${text.ago_hours.replace("#", "{{ minutes // 60 }}")}` +
      `{% else %}${text.ago_days.replace("#", "{{ minutes // (24 * 60) }}")}{% endif %}` +
      `{% elif state == 'asleep' %} · ${text.when_awake}{% endif %}`,
  ].join("\n");
}

/** Return the tiles that show only while something is wrong or waits. */
function attention(entities) {
  const parked = entities.get("sensor.drive_state_shift_state");
  const isParked = parked ? [{ condition: "state", entity: parked, state_not: ["d", "r", "n", "drive", "reverse"] }] : [];
  const shown = (key, states, { whenParked = false, color = "red" } = {}) => {
    const entity = entities.get(key);
    return entity && tile(entity, { color, visibility: [...when(entity, states), ...(whenParked ? isParked : [])] });
  };
  const battery = entities.get("sensor.charge_state_battery_level");
  const low = battery && {
    ...tile(battery, { color: "red" }),
    visibility: [{ condition: "numeric_state", entity: battery, below: 20 }],
  };
  return [
    shown("binary_sensor.tire_warning", ["on"]),
    shown("binary_sensor.doors", ["on"], { whenParked: true, color: "orange" }),
    shown("binary_sensor.windows", ["on"], { whenParked: true, color: "orange" }),
    shown("cover.windows", ["open"], { whenParked: true, color: "orange" }),
    shown("lock.doors", ["unlocked"], { whenParked: true, color: "orange" }),
    shown("binary_sensor.vehicle_state_locked", ["on"], { whenParked: true, color: "orange" }),
    shown("update.software_update", ["on"], { color: "blue" }),
    shown("sensor.polling", ["reduced", "starts_and_ends", "state_only"], { color: "orange" }),
    low,
  ];
}

/** Return the section of what needs attention, which is shown only while it has something to show. */
function attentionSection(entities, text) {
  const cards = attention(entities).filter((card) => card !== undefined);
  if (!cards.length) return undefined;
  const conditions = cards.map(({ visibility }) =>
    visibility.length === 1 ? visibility[0] : { condition: "and", conditions: visibility },
  );
  return {
    type: "grid",
    cards: [heading(text.attention, "mdi:alert-circle-outline"), ...cards],
    visibility: [{ condition: "or", conditions }],
  };
}

function battery(entities) {
  const limit = entities.get("number.charge_limit");
  const charging = entities.get("sensor.charge_state_charging_state");
  const whenPluggedIn = charging && [{ condition: "state", entity: charging, state_not: ["disconnected", "unknown"] }];
  const whenCharging = charging && when(charging, ["charging", "starting"]);
  return [
    tile(entities.get("sensor.charge_state_battery_level"), {
      features: [{ type: "bar-gauge", min: 0, max: 100 }],
      grid_options: { columns: 12 },
    }),
    tile(entities.get("sensor.charge_state_battery_range", "sensor.charge_state_est_battery_range")),
    tile(entities.get("sensor.charge_state_charging_state")),
    limit
      ? tile(limit, { features: [{ type: "numeric-input", style: "slider" }], grid_options: { columns: 12 } })
      : tile(entities.get("sensor.charge_state_charge_limit_soc")),
    tile(entities.get("switch.charge")),
    tile(entities.get("sensor.charge_state_charger_power"), { visibility: whenCharging }),
    tile(entities.get("sensor.charge_state_charge_energy_added"), { visibility: whenPluggedIn }),
    tile(entities.get("sensor.charge_state_minutes_to_full_charge"), { visibility: whenCharging }),
    tile(
      entities.get("binary_sensor.charge_state_conn_charge_cable", "sensor.charge_state_conn_charge_cable"),
    ),
  ];
}

function climate(entities, text) {
  const control = entities.get("climate.climate");
  return [
    control
      ? tile(control, {
          features: [{ type: "climate-hvac-modes" }, { type: "target-temperature" }],
          grid_options: { columns: 12 },
        })
      : tile(entities.get("binary_sensor.climate_state_is_climate_on")),
    tile(entities.get("sensor.climate_state_inside_temp"), { name: text.inside }),
    tile(entities.get("sensor.climate_state_outside_temp"), { name: text.outside }),
    tile(entities.get("switch.defrost")),
    tile(entities.get("select.seat_heater_left"), { name: text.seat_left }),
    tile(entities.get("select.seat_heater_right"), { name: text.seat_right }),
  ];
}

function body(entities) {
  const lock = entities.get("lock.doors");
  const cover = (key, twin) => {
    const id = entities.get(`cover.${key}`);
    return id ? tile(id, { features: [{ type: "cover-open-close" }] }) : tile(entities.get(`binary_sensor.${twin}`));
  };
  return [
    lock
      ? tile(lock, { features: [{ type: "lock-commands" }], grid_options: { columns: 12 } })
      : tile(entities.get("binary_sensor.vehicle_state_locked")),
    tile(entities.get("binary_sensor.doors")),
    cover("windows", "windows"),
    cover("frunk", "vehicle_state_ft"),
    cover("trunk", "vehicle_state_rt"),
    cover("charge_port", "charge_state_charge_port_door_open"),
    tile(entities.get("switch.sentry_mode", "binary_sensor.vehicle_state_sentry_mode")),
    tile(entities.get("binary_sensor.vehicle_state_is_user_present")),
    tile(entities.get("sensor.vehicle_state_odometer")),
  ];
}

const WHEELS = { fl: [20, 17], fr: [80, 17], rl: [20, 79], rr: [80, 79] };

/** Return the car from above with the pressure of each tire beside it. */
function tires(entities) {
  const elements = Object.entries(WHEELS).flatMap(([wheel, [left, top]]) => {
    const entity = entities.get(`sensor.vehicle_state_tpms_pressure_${wheel}`);
    const style = { left: `${left}%`, top: `${top}%`, "font-weight": "500", color: "var(--primary-text-color)" };
    return entity ? [{ type: "state-label", entity, style }] : [];
  });
  const pictures = { image: drawing("car.svg"), dark_mode_image: drawing("car-dark.svg") };
  const picture = elements.length && { type: "picture-elements", ...pictures, elements, grid_options: { columns: 12 } };
  return [picture || undefined, tile(entities.get("binary_sensor.tire_warning"))];
}

function map(entities) {
  const trackers = entities.of("device_tracker").map((entity) => ({ entity }));
  return trackers.length
    ? [{ type: "map", entities: trackers, hours_to_show: 24, default_zoom: 14, grid_options: { columns: 12, rows: 6 } }]
    : [];
}

function schedules(entities) {
  const calendars = ["charge_schedules", "precondition_schedules"]
    .map((key) => entities.get(`calendar.${key}`))
    .filter((id) => id !== undefined);
  return [
    tile(entities.get("sensor.charge_schedule_data_next")),
    tile(entities.get("sensor.preconditioning_schedule_data_next")),
    calendars.length
      ? { type: "calendar", entities: calendars, initial_view: "listWeek", grid_options: { columns: 12 } }
      : undefined,
  ];
}

/** Buttons, and what one is called whose own name does not fit. */
const BUTTONS = {
  wake: undefined,
  flash_lights: undefined,
  honk_horn: undefined,
  locate: "locate",
  homelink: undefined,
  remote_start: "remote_start",
};

/** Return the controls that have no place above, or one line that says how to turn controls on. */
function controls(entities, text) {
  const buttons = Object.entries(BUTTONS).map(([key, name]) =>
    tile(entities.get(`button.${key}`), { hide_state: true, ...(name && { name: text[name] }) }),
  );
  if (buttons.some((button) => button !== undefined) || entities.has("lock.doors")) {
    const media = { features: [{ type: "media-player-volume-slider" }], grid_options: { columns: 12 } };
    return [...buttons, tile(entities.get("media_player.media"), media)];
  }
  const link = `/config/integrations/integration/${DOMAIN}`;
  const content = `${text.controls_off} [${text.controls_on}](${link})`;
  return [{ type: "markdown", text_only: true, content }];
}

function journal(entities) {
  const keys = ["drive_distance", "drive_consumption", "charge_added", "charge_cost", "month_distance", "month_cost"];
  return [
    ...keys.map((key) => tile(entities.get(`sensor.journal_${key}`))),
    tile(entities.get("sensor.journal_battery_health")),
  ];
}

/** Return what happened to the car, commands among it. */
function activity(device) {
  return [{ type: "logbook", target: { device_id: [device.id] }, hours_to_show: 24, grid_options: { columns: 12 } }];
}

function carView(device, entities, text) {
  const name = device.name_by_user ?? device.name;
  return {
    title: name,
    path: `car-${device.id}`,
    type: "sections",
    max_columns: 3,
    dense_section_placement: true,
    header: { layout: "responsive", card: { type: "markdown", text_only: true, content: carHeader(name, entities, text) } },
    sections: [
      attentionSection(entities, text),
      section(text.battery, "mdi:car-battery", battery(entities)),
      section(text.location, "mdi:map-marker", map(entities)),
      section(text.climate, "mdi:thermometer", climate(entities, text)),
      section(text.body, "mdi:car-door", body(entities)),
      section(text.tires, "mdi:car-tire-alert", tires(entities)),
      section(text.schedules, "mdi:calendar-clock", schedules(entities)),
      section(text.controls, "mdi:gesture-tap-button", controls(entities, text)),
      section(text.journal, "mdi:notebook-outline", journal(entities)),
      section(text.activity, "mdi:history", activity(device)),
    ].filter((part) => part !== undefined),
  };
}

/** What a site's energy of the day is called in a tile: its own name says "today" and does not fit. */
const TODAY = {
  total_solar_generation: "solar",
  total_home_usage: "home",
  grid_energy_imported: "from_grid",
  total_grid_energy_exported: "to_grid",
  total_battery_charge: "battery_in",
  total_battery_discharge: "battery_out",
};

function siteView(device, entities, text) {
  const name = device.name_by_user ?? device.name;
  const powers = SITE_POWERS.map((key) => entities.get(`sensor.${key}`)).filter((id) => id !== undefined);
  const lines = powers.map((entity) => ({ entity, name: { type: "entity" } }));
  const graph = { type: "history-graph", entities: lines, hours_to_show: 24, grid_options: { columns: 12 } };
  const today = Object.entries(TODAY).map(([key, name]) => tile(entities.get(`sensor.${key}`), { name: text[name] }));
  return {
    title: name,
    path: `site-${device.id}`,
    type: "sections",
    max_columns: 3,
    header: { layout: "responsive", card: { type: "markdown", text_only: true, content: title(name) } },
    sections: [
      section(text.power, "mdi:transmission-tower", [
        ...powers.map((id) => tile(id, { features: [{ type: "trend-graph", hours_to_show: 24 }] })),
        graph,
      ]),
      section(text.battery, "mdi:home-battery", [
        tile(entities.get("sensor.percentage_charged"), {
          features: [{ type: "bar-gauge", min: 0, max: 100 }],
          grid_options: { columns: 12 },
        }),
        tile(entities.get("number.backup_reserve", "sensor.backup_reserve_percent")),
        tile(entities.get("select.operation_mode", "sensor.default_real_mode"), { name: text.mode }),
        tile(entities.get("switch.storm_watch", "binary_sensor.storm_mode_enabled")),
      ]),
      section(text.today, "mdi:calendar-today", today),
    ].filter((part) => part !== undefined),
  };
}

/** Return all views for what Home Assistant has, in the words of its language. */
export function viewsOf(hass, texts) {
  const text = texts[(hass.locale?.language ?? hass.language ?? "en").split("-")[0]] ?? texts.en;
  const devices = Object.values(hass.devices)
    .filter((device) => device.identifiers?.some(([domain]) => domain === DOMAIN))
    .map((device) => ({ device, entities: new Entities(hass, device.id) }))
    .sort((one, other) => (one.device.name ?? "").localeCompare(other.device.name ?? ""));
  const views = [
    ...devices.filter(({ entities }) => isCar(entities)).map((one) => carView(one.device, one.entities, text)),
    ...devices.filter(({ entities }) => isSite(entities)).map((one) => siteView(one.device, one.entities, text)),
  ];
  if (!views.length) {
    views.push({ title: "TeslaFi", cards: [{ type: "markdown", content: text.none }] });
  }
  return views;
}
