/* Bars of how often a failure was seen: what each stands for is said when it is pointed at. */

import { moment } from "./time.js";

document.addEventListener("pointerover", ({ target }) => {
  const bar = target.closest?.("[data-slot]");
  if (!bar) return;
  const { slot, count, version } = bar.dataset;
  bar.title = `${count} from ${moment(slot)} on${version ? `, last in ${version}` : ""}`;
});
