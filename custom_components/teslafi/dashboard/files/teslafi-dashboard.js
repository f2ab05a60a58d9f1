/**
 * The dashboard strategy TeslaFi. Every page of Home Assistant loads this module, and a dashboard waits five seconds
 * for its element; so it is small and imports nothing. The rest is loaded by who opens the dashboard.
 */

const DOMAIN = "teslafi";
const REGISTRIES = ["entities", "devices"];

/** Load a module beside this one, of the same version. */
const load = (name) => import(`./${name}${new URL(import.meta.url).search}`);

/** Return the ids of all our entities. The list is kept: it is wanted at each change of any state. */
const ours = (() => {
  let from, ids;
  return ({ entities }) => {
    if (entities !== from) {
      from = entities;
      ids = Object.keys(entities).filter((id) => entities[id].platform === DOMAIN);
    }
    return ids;
  };
})();

class TeslaFiDashboard extends HTMLElement {
  /** Whether Home Assistant shows what we made, or waits for it. Else it shows an error: we came too late, or failed. */
  static made = false;

  /** Return whether the dashboard is another one now: an entity may be registered well before it has a state. */
  static shouldRegenerate(_config, before, after) {
    if (!this.made || REGISTRIES.some((registry) => before[registry] !== after[registry])) return true;
    return before.states !== after.states && ours(after).some((id) => (id in before.states) !== (id in after.states));
  }

  /** Return the dashboard's configuration; Home Assistant calls it whenever the dashboard is opened. */
  static async generate(_config, hass) {
    this.made = true;
    try {
      const [{ viewsOf }, { TEXTS }] = await Promise.all([load("views.js"), load("texts.js")]);
      return { title: "TeslaFi", views: viewsOf(hass, TEXTS) };
    } catch (error) {
      this.made = false;
      throw error;
    }
  }
}

window.customStrategies = window.customStrategies ?? [];
if (!window.customStrategies.some(({ type }) => type === DOMAIN)) {
  window.customStrategies.push({
    type: DOMAIN,
    strategyType: "dashboard",
    name: "TeslaFi",
    description: "Your Tesla cars and energy sites",
    documentationURL: "https://github.com/teslafi-home-assistant/teslafi#dashboard",
  });
}

// Home Assistant's frontend puts a registry of its own in the place of the browser's, and forgets what was defined until
// then. It does so before it defines its own element; both registries tell of that one.
const ELEMENT = `ll-strategy-dashboard-${DOMAIN}`;
await customElements.whenDefined("home-assistant");
if (!customElements.get(ELEMENT)) customElements.define(ELEMENT, TeslaFiDashboard);
