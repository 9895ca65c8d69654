"use strict";
// The explorer's own part: it adds the access token to everything that GraphiQL sends.
(() => {
  const TOKEN_KEY = "process-monitor-token";
  const MISSING = "Paste the token that the server printed when it started (or one from its TOKEN setting), then press Enter.";
  const REFUSED = "The server did not accept this token. Paste the one that it printed when it started.";

  const OVERVIEW = `# Ctrl-Enter runs it, Ctrl-Space completes.
# The book on the left is the documentation.
query Overview {
  summary {
    workersOnline
    workersOffline
    stalledProcesses
    processes { total running succeeded failed }
  }
  workers(
    first: 10
    orderBy: { field: LAST_SEEN_AT, direction: DESC }
  ) {
    edges {
      node {
        name
        version
        status
        lastSeenAt
        counts { total running succeeded failed }
      }
    }
  }
}
`;
  const LIVE = `# Shows each change as it happens, until stopped.
subscription Live {
  processes {
    kind
    occurredAt
    process {
      id
      status
      progress
      worker { name }
      currentTask { name status }
    }
  }
}
`;

  const field = document.getElementById("token");
  const hint = document.getElementById("hint");

  function showHint(text) {
    hint.textContent = text;
    hint.hidden = !text;
  }

  /** A fetcher of GraphiQL's for one token; another token needs another one, which also reads the schema again. */
  function createFetcher(token) {
    const endpoint = new URL(location.pathname, location.href);
    const socket = new URL(endpoint);
    socket.protocol = endpoint.protocol.replace("http", "ws");
    const authorization = token ? { Authorization: `Bearer ${token}` } : {};
    return GraphiQL.createFetcher({
      url: endpoint.href,
      subscriptionUrl: socket.href,
      headers: { Accept: "application/graphql-response+json, application/json", ...authorization },
      wsConnectionParams: authorization,
      enableIncrementalDelivery: false,
      fetch: async (url, options) => {
        const response = await fetch(url, options);
        if (response.status === 401) showHint(token ? REFUSED : MISSING);
        else if (response.ok) showHint("");
        return response;
      },
    });
  }

  const root = ReactDOM.createRoot(document.getElementById("explorer"));

  function render() {
    const token = field.value.trim();
    showHint(token ? "" : MISSING);
    root.render(
      React.createElement(GraphiQL, {
        fetcher: createFetcher(token),
        defaultTabs: [{ query: OVERVIEW }, { query: LIVE }],
        defaultQuery: "",
      }),
    );
  }

  document.getElementById("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    // For this tab only: a token in localStorage would outlive the person who pasted it.
    sessionStorage.setItem(TOKEN_KEY, field.value.trim());
    render();
  });

  field.value = sessionStorage.getItem(TOKEN_KEY) ?? "";
  render();
  if (!field.value) field.focus();
})();
