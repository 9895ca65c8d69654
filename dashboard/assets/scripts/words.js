/* Statuses, in words. */

export const WORDS = {
  ALIVE: "Alive",
  FINISHED: "Finished",
  LOST: "Lost",
  PENDING: "Pending",
  RUNNING: "Running",
  SUCCESS: "Succeeded",
  ERROR: "Failed",
  STALLED: "Stalled",
  OVERTIME: "Overtime",
  IDLE: "Idle",
  NEW: "New",
  OPEN: "Open",
  REGRESSED: "Regressed",
  RESOLVED: "Resolved",
  MUTED: "Muted",
};
