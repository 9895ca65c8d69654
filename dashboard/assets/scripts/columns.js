/* The columns that make sense in a view. */

/** Of each table, columns and whether they are shown. */
export const columnsOf = ({ view, worker }) => ({
  processes: [
    [["pipeline"], view === "runs"],
    [["version", "id"], ["runs", "failure"].includes(view) || Boolean(worker)],
    [["progress", "step"], view !== "failure"],
  ],
  workers: [[["name", "failed", "mean", "registered"], view === "workers"]],
});
