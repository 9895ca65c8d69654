/* What the browser does by itself, under the names by which Dash and AG Grid call it. */

import { fill, type } from "./address.js";
import * as cells from "./cells.js";
import "./bars.js";
import { chart } from "./chart.js";
import { tick } from "./connection.js";
import "./find.js";
import { show } from "./levels.js";
import "./links.js";
import { take } from "./rows.js";
import { runtimes } from "./runtimes.js";
import { markSelection, openRow, openRowByKey } from "./selection.js";
import "./zoom.js";
import "./theme.js";

const provide = (name, parts) => Object.assign((window[name] ??= {}), parts);

provide("dash_clientside", {
  monitor: { chart, fill, runtimes, show, take, tick, type },
});
provide("dashAgGridFunctions", { markSelection, openRow, openRowByKey });
provide("dashAgGridComponentFunctions", cells);

window.dispatchEvent(new Event("codeready"));
