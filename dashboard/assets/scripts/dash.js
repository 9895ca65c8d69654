/* What the script takes from Dash and its tables. Another release may lack some of it: then the tab
   goes on with something else, and says so in the console, once. */

const LOOK_MILLISECONDS = 5;
const PATIENCE_MILLISECONDS = 120_000;

const missing = new Set();

function warn(name, error) {
  if (missing.has(name)) return;
  missing.add(name);
  console.warn(`${name} is not as this dashboard knows it:`, error);
}

/** Has Dash draw properties of a component. */
export function setProps(id, props) {
  window.dash_clientside.set_props(id, props);
}

/** Whether it can be had to; else the server does it, component by component. */
export const canSetProps = () => Boolean(window.dash_clientside.set_props);

/** Has Dash take over the query string of the address; the browser can do it, by loading anew. */
export function showAddress(search) {
  try {
    setProps("location", { search });
  } catch (error) {
    warn("dash_clientside.set_props", error);
    window.location.search = search;
  }
}

/** What a function for several outputs returns for those that stay as they are. */
export const unchanged = () => window.dash_clientside.no_update;

/** Has Dash forget what a tab was told: it keeps all of it, to undo it, which nobody asks for. */
export function forget() {
  try {
    window.store.getState().history.past.length = 0;
  } catch (error) {
    warn("window.store", error);
  }
}

/** The grid of a table, or null while it is not drawn. */
export function findGrid(table) {
  // What it throws takes long to make, since it says where in all of its code it is.
  if (!document.querySelector(`#${table} .ag-root`)) return null;
  try {
    return window.dash_ag_grid.getApi(table);
  } catch {
    return null;
  }
}

/** The grid of a table, when it is drawn; null if there is no such thing. */
export async function drawnGrid(table) {
  if (!window.dash_ag_grid?.getApi) {
    warn("dash_ag_grid.getApi", new Error(table));
    return null;
  }
  const since = performance.now();
  // Dash AG Grid's own promise looks less and less often: by half of the time that it took already.
  while (!findGrid(table)) {
    if (performance.now() - since > PATIENCE_MILLISECONDS) {
      warn("dash_ag_grid.getApi", new Error(table));
      return null;
    }
    await new Promise((go) => setTimeout(go, LOOK_MILLISECONDS));
  }
  return findGrid(table);
}
