/* What the page does by itself: the address, the state of the connection, times that move on. */

(() => {
  "use strict";

  const LIVE_SECONDS = 8; // the server says something every 3 s
  const RETRY_SECONDS = 4;
  const POLL_SECONDS = 15;
  const FIRST_SECONDS = 2.5; // until a page without WebSocket is filled
  const REDRAWN_AFTER = 2000; // changes of a table
  const NO = () => window.dash_clientside.no_update;
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const components = (window.dashAgGridComponentFunctions =
    window.dashAgGridComponentFunctions || {});

  const tab = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) =>
    b.toString(16).padStart(2, "0")
  ).join("");
  const started = Date.now();
  const page = {
    number: 0,
    search: null,
    requestedAt: 0,
    liveAt: 0,
    polledAt: 0,
    slots: [],
    answeredAt: 0,
    checkedAt: started,
    status: null,
    skew: 0,
    polling: false,
    shown: null,
  };

  /* ---- times and durations ---- */

  const pad = (number) => String(number).padStart(2, "0");
  const now = () => Date.now() + page.skew;
  const clock = (date) =>
    `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  const day = (date) => date.toLocaleDateString(undefined, { day: "numeric", month: "short" });

  function duration(seconds) {
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
    if (seconds < 10) return `${seconds.toFixed(2)} s`;
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(Math.floor(seconds % 60))} s`;
    return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))} min`;
  }

  function running(seconds) {
    return seconds < 60 ? `${Math.floor(seconds)} s` : duration(seconds);
  }

  function ago(seconds) {
    if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} d ago`;
  }

  function moment(at, form) {
    if (!at) return "–";
    const date = new Date(at);
    const today = new Date(now()).toDateString() === date.toDateString();
    if (form === "full" || !today) return `${day(date)} ${clock(date)}`;
    return clock(date);
  }

  function write(element) {
    const { since, ago: then } = element.dataset;
    let text;
    if (since) text = running(Math.max(0, (now() - Date.parse(since)) / 1000));
    else if (then) text = ago((now() - Date.parse(then)) / 1000);
    else if (element.dateTime) text = moment(element.dateTime, element.dataset.form);
    else return;
    if (element.textContent !== text) element.textContent = text;
  }

  function layOut(timeline) {
    const from = Date.parse(timeline.dataset.from);
    const to = timeline.dataset.to ? Date.parse(timeline.dataset.to) : now();
    let end = to;
    const bars = timeline.querySelectorAll(".bar");
    for (const bar of bars) if (bar.dataset.to) end = Math.max(end, Date.parse(bar.dataset.to));
    const length = Math.max(end - from, 1);
    for (const bar of bars) {
      if (!bar.dataset.from) {
        bar.style.width = "0";
        continue;
      }
      const begin = Math.max(0, Date.parse(bar.dataset.from) - from);
      const stop = bar.dataset.to ? Date.parse(bar.dataset.to) - from : end - from;
      bar.style.left = `${(100 * begin) / length}%`;
      bar.style.width = `${(100 * Math.max(0, stop - begin)) / length}%`;
    }
  }

  function moveOn() {
    document.querySelectorAll("[data-since],[data-ago],time").forEach(write);
    document.querySelectorAll(".timeline").forEach(layOut);
  }
  setInterval(moveOn, 500);

  /* ---- cells of the tables ---- */

  const WORDS = {
    ONLINE: "Online",
    OFFLINE: "Offline",
    PENDING: "Pending",
    RUNNING: "Running",
    SUCCESS: "Succeeded",
    ERROR: "Failed",
    STALLED: "Stalled",
  };
  const element = (...parts) => window.React.createElement(...parts);
  const fill = (node) => node && write(node);

  components.Status = ({ value }) =>
    element("span", { className: `status status-${String(value).toLowerCase()}` }, WORDS[value]);

  components.Moment = ({ value }) =>
    value ? element("time", { dateTime: value, ref: fill, key: value, title: value }) : "–";

  // An online worker was heard from within the limit; only silence has a time of its own.
  components.Seen = ({ value, data }) =>
    data.status === "ONLINE"
      ? element("span", { title: "Heard from within the offline limit" }, "now")
      : element("span", { "data-ago": value, ref: fill, key: value, title: value });

  components.Runtime = ({ value, data }) => {
    if (value !== null && value !== undefined) return data.status === "PENDING" ? "" : duration(value);
    return data.started
      ? element("span", { "data-since": data.started, ref: fill, key: data.started })
      : "–";
  };

  components.Share = ({ value }) =>
    value === null || value === undefined
      ? "–"
      : element("span", { className: value ? "some" : "" }, `${(100 * value).toFixed(1)}%`);

  components.Progress = ({ value, data }) => {
    const percent = Math.round(100 * value);
    return element(
      "span",
      { className: `progress status-${data.status.toLowerCase()}` },
      element("span", { className: "progress-track", "aria-hidden": true },
        element("span", { className: "progress-bar", style: { width: `${percent}%` } })),
      `${percent}%`
    );
  };

  components.Id = ({ value }) =>
    element("span", { className: "id", title: value }, `…${value.slice(-8)}`);

  /* ---- rows, and what must not pile up on a page that is open all day ---- */

  const changes = {};

  // Not by Dash's property for transactions, which keeps every one of them for ever.
  async function give(table, { rows, ...change }) {
    const grid = await window.dash_ag_grid.getApiAsync(table);
    if (rows) grid.setGridOption("rowData", rows);
    else grid.applyTransaction(change);
    changes[table] = (changes[table] || 0) + 1;
    if (changes[table] % REDRAWN_AFTER === 0) redraw(grid);
  }

  // AG Grid tells React of each change, React keeps what changes nothing until it draws again.
  function redraw(grid) {
    grid.redrawRows();
    for (const shown of [true, false]) grid.setGridOption("alwaysShowVerticalScroll", shown);
  }

  // Dash keeps whatever a page was told, to undo it, which nobody asks for here.
  function forget() {
    window.store.getState().history.past.length = 0;
  }

  /* ---- the address ---- */

  function parameters() {
    return new URLSearchParams(window.location.search);
  }

  function go(changes, { replace = false } = {}) {
    const wanted = parameters();
    for (const [name, value] of Object.entries(changes)) {
      if (value) wanted.set(name, value);
      else wanted.delete(name);
    }
    const text = wanted.toString();
    const search = text ? `?${text}` : "";
    if (search === window.location.search) return;
    if (replace) history.replaceState(null, "", search || window.location.pathname);
    clientside.set_props("location", { search });
  }

  const CHOSEN = {
    range: "1h",
    name: "",
    presence: "all",
    status: "all",
    period: "any",
    order: "newest",
  };

  functions.openRow = (table, params) => {
    const id = params.data && params.data.id;
    if (!id) return;
    if (table === "workers") go({ worker: id, process: null, page: null });
    if (table === "processes") go({ process: id, worker: page.shown && page.shown.worker });
  };

  functions.openRowByKey = (table, params) => {
    if (params.event && params.event.key === "Enter") functions.openRow(table, params);
  };

  functions.markSelection = () => setTimeout(mark, 0);

  function mark() {
    for (const table of ["workers", "processes"]) {
      const grid = api(table);
      const wanted = page.shown && page.shown[table === "workers" ? "worker" : "process"];
      if (!grid) continue;
      for (const node of grid.getSelectedNodes()) if (node.id !== wanted) node.setSelected(false);
      const node = wanted && grid.getRowNode(wanted);
      if (node && !node.isSelected()) node.setSelected(true);
    }
  }

  function markLoading(shown) {
    for (const table of ["workers", "processes", "tasks"]) {
      const grid = api(table);
      if (grid) grid.setGridOption("loading", !shown || shown.loading.includes(table));
    }
  }

  function api(table) {
    try {
      return window.dash_ag_grid.getApi(table);
    } catch {
      return null; // not drawn yet
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy],[data-process],[data-go]");
    if (!button) return;
    const { copy, process, go: level } = button.dataset;
    if (copy) copyText(button, copy);
    else if (process) go({ process });
    else if (level === "overview") go({ worker: null, process: null, page: null });
    else if (level === "worker") go({ process: null });
  });

  async function copyText(button, text) {
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it to copy";
    }
    setTimeout(() => (button.textContent = label), 1500);
  }

  function crumb(text, level, current) {
    const props = { children: text, className: "crumb", type: "button", "data-go": level };
    if (current) props["aria-current"] = "page";
    return { type: "Button", namespace: "dash_html_components", props };
  }

  /* ---- the activity chart: bars of what ended, a line of what started ---- */

  function svg(name, attributes, parent, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  function slotTime(at) {
    const date = new Date(at);
    const time = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
    const long = page.slots.length > 1 && Date.parse(page.slots.at(-1).at) - Date.parse(page.slots[0].at) > 90e6;
    return long ? `${day(date)} ${time}` : time;
  }

  function highest(slots) {
    const most = Math.max(4, ...slots.map((slot) => Math.max(slot.started, slot.succeeded + slot.failed)));
    const step = 10 ** Math.floor(Math.log10(most / 2));
    return Math.ceil(most / (2 * step)) * 2 * step;
  }

  function draw() {
    const box = document.getElementById("activity");
    const slots = page.slots;
    if (!box || !slots || !slots.length || !box.clientWidth) return;
    const [left, right, top, bottom] = [34, 2, 8, 18];
    const [width, height] = [box.clientWidth - 24, box.clientHeight - 4];
    const most = highest(slots);
    const x = (index) => left + (index * (width - left - right)) / slots.length;
    const y = (count) => height - bottom - (count * (height - top - bottom)) / most;
    const root = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    root.setAttribute("width", width);
    root.setAttribute("height", height);
    for (const part of [0, 0.5, 1]) {
      svg("line", { x1: left, x2: width - right, y1: y(most * part), y2: y(most * part) }, root);
      svg("text", { x: left - 6, y: y(most * part) + 4, "text-anchor": "end" }, root, (most * part).toLocaleString());
    }
    const every = Math.ceil(slots.length / Math.max(2, Math.floor(width / 130)));
    const gap = Math.min(2, (x(1) - x(0)) / 5);
    slots.forEach((slot, index) => {
      const place = { x: x(index) + gap / 2, width: Math.max(1, x(1) - x(0) - gap) };
      const bar = (kind, from, to) =>
        to > from && svg("rect", { ...place, class: kind, y: y(to), height: y(from) - y(to) }, root);
      bar("succeeded", 0, slot.succeeded);
      bar("failed", slot.succeeded, slot.succeeded + slot.failed);
      if (index % every === 0)
        svg("text", { x: x(index), y: height - 4 }, root, slotTime(slot.at));
    });
    const line = slots.map((slot, index) => `${x(index)},${y(slot.started)} ${x(index + 1)},${y(slot.started)}`);
    svg("polyline", { class: "started", points: line.join(" ") }, root);
    slots.forEach((slot, index) => {
      const area = { class: "slot", x: x(index), width: x(1) - x(0), y: top, height: height - top - bottom };
      const told = `${slotTime(slot.at)}: ${slot.started} started, ${slot.succeeded} succeeded, ${slot.failed} failed`;
      svg("title", {}, svg("rect", area, root), told);
    });
    box.replaceChildren(root);
  }
  window.addEventListener("resize", draw);

  /* ---- the connection ---- */

  function request(anew) {
    page.requestedAt = Date.now();
    return { tab, number: ++page.number, search: page.search, anew };
  }

  async function signInAgain() {
    page.checkedAt = Date.now();
    try {
      const response = await fetch(window.location.href, { redirect: "manual" });
      if (response.type === "opaqueredirect") window.location.reload();
    } catch {
      // it is gone, which the page says already
    }
  }

  function connection() {
    const seconds = (at) => (Date.now() - at) / 1000;
    const live = page.liveAt && seconds(page.liveAt) < LIVE_SECONDS;
    const refreshed = page.answeredAt && seconds(page.answeredAt) < 2 * POLL_SECONDS;
    const { problem, seenAt, health } = page.status || {};
    const since = (at) => (at ? ` Data as of ${moment(at, "full")}.` : "");
    if (!live && !refreshed) {
      if (!page.liveAt && !page.answeredAt)
        return seconds(started) < 8 ? ["Connecting …", "waiting"] : ["No connection to the dashboard, reconnecting …", "lost"];
      return [`Connection lost, reconnecting …${since(Math.max(page.liveAt, page.answeredAt))}`, "lost"];
    }
    if (problem) return [`No connection to the API (${problem}), reconnecting …${since(seenAt)}`, "lost"];
    if (health === "degraded") return ["Changes come late: the live feed is gone", "late"];
    if (health === "down") return ["The API's database is gone: nothing new is stored", "lost"];
    return live ? ["Live", "live"] : [`Refreshed every ${POLL_SECONDS} s`, "refreshed"];
  }

  clientside.monitor = {
    tick(_, search) {
      const at = Date.now();
      const asked = [NO(), NO()];
      const live = at - page.liveAt < LIVE_SECONDS * 1000;
      if (page.search !== (search || "")) {
        page.search = search || "";
        asked[0] = request(false);
        if (page.polling) page.polledAt = 0;
      } else if (!live && at - page.requestedAt > RETRY_SECONDS * 1000) {
        asked[0] = request(true);
      }
      page.polling = !live && at - started > FIRST_SECONDS * 1000;
      if (page.polling && at - page.polledAt > POLL_SECONDS * 1000) {
        page.polledAt = at;
        asked[1] = { tab, number: ++page.number, search: page.search };
      }
      const [text, tone] = connection();
      // Lost may also mean that the session ended.
      if (tone === "lost" && at - page.checkedAt > POLL_SECONDS * 1000) signInAgain();
      const said = document.getElementById("connection");
      const same = said && said.textContent === text;
      return [...asked, same ? NO() : text, same ? NO() : `connection connection-${tone}`];
    },

    async take(told) {
      const { number, status, tables } = told;
      for (const [table, change] of Object.entries(tables)) await give(table, change);
      forget();
      page.status = status;
      page.skew = status.now - Date.now();
      page[status.live ? "liveAt" : "answeredAt"] = Date.now();
      setTimeout(moveOn, 0);
      return number;
    },

    show(shown, search) {
      page.shown = shown;
      const address = new URLSearchParams(search || "");
      const worker = address.get("worker") || (shown && shown.worker);
      const process = address.get("process");
      const name = (shown && shown.workerName) || "Worker";
      setTimeout(mark, 50);
      setTimeout(draw, 50);
      setTimeout(() => markLoading(shown), 50);
      setTimeout(moveOn, 50);
      const trail = worker ? [crumb("Overview", "overview"), crumb(name, "worker", !process)] : [];
      if (process) trail.push(crumb(`Process …${process.slice(-8)}`, "process", true));
      return [
        trail,
        process ? "2" : worker ? "1" : "0",
        worker ? `Processes of ${name}` : "Processes",
        !(shown && shown.nextPage),
        !address.get("page"),
        address.get("page") ? "An older page" : "",
      ];
    },

    slots(told) {
      if (!told) return [NO(), NO()];
      page.slots = told.slots;
      draw();
      const total = (name) => page.slots.reduce((sum, slot) => sum + slot[name], 0);
      return [
        `${total("started")} processes started, ${total("succeeded")} succeeded, ${total("failed")} failed in the time shown`,
        told.worker ? `Activity of ${told.worker}` : "Activity",
      ];
    },

    scheme(choice) {
      return choice === "auto" ? undefined : choice;
    },

    fill(search) {
      const address = new URLSearchParams(search || "");
      const known = (name) => address.get(name) || CHOSEN[name];
      return [
        known("range"),
        known("name"),
        known("presence"),
        known("status"),
        known("period"),
        known("order"),
      ];
    },

    choose(range, name, presence, status, period, order, next, first, shown) {
      const cause = clientside.callback_context.triggered.map((cause) => cause.prop_id.split(".")[0]);
      const unlessUsual = (key, value) => (value === CHOSEN[key] ? null : value);
      if (cause.includes("next-page")) return void go({ page: shown.nextPage });
      if (cause.includes("first-page")) return void go({ page: null });
      const changes = {
        range: unlessUsual("range", range),
        name: unlessUsual("name", name || ""),
        presence: unlessUsual("presence", presence),
        status: unlessUsual("status", status),
        period: unlessUsual("period", period),
        order: unlessUsual("order", order),
      };
      // `fill` writes the choices of an address here as well; only other ones begin a new list.
      const address = parameters();
      if (["status", "period", "order"].some((key) => (changes[key] || null) !== address.get(key)))
        changes.page = null;
      go(changes, { replace: cause.includes("name") });
    },

    filter(search) {
      const address = new URLSearchParams(search || "");
      const model = {};
      if (address.get("name"))
        model.name = { filterType: "text", type: "contains", filter: address.get("name") };
      if (["online", "offline"].includes(address.get("presence")))
        model.status = { filterType: "text", type: "equals", filter: address.get("presence") };
      return model;
    },
  };
})();
