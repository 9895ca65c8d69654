/* The session, where people sign in: it lasts while a tab is open, and its end leads to the form. */

// Well within the half of a session in which it is prolonged.
const PROLONGED_MILLISECONDS = 3600e3;

/** Leads to the form when the session has ended; the form leads back to this address. */
export async function checkSession() {
  try {
    const answer = await fetch(window.location.href, { redirect: "manual", cache: "no-store" });
    // A proxy that has the sign-in redirects; the dashboard does so when one navigates.
    const hasEnded = answer.status === 401 || answer.type === "opaqueredirect";
    if (hasEnded) window.location.reload();
  } catch {
    // the dashboard is gone, which is said already
  }
}

// Whatever is asked for prolongs it, but what goes over an open socket does not.
setInterval(checkSession, PROLONGED_MILLISECONDS);
