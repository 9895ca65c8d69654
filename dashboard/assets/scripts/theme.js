/* The choice of colours. */

/** The scheme to force; none follows the system. */
export const scheme = (choice) => (choice === "auto" ? undefined : choice);
