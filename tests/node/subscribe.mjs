// Follows all tasks with the real graphql-ws client and prints one JSON line per event.
// It retries by itself, and resumes behind the last cursor: variables are sent anew each time.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, token, cursor] = process.argv.slice(2);
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { Authorization: `Bearer ${token}` },
  retryAttempts: 100,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  shouldRetry: () => true,
  on: {
    closed: (event) => console.log(JSON.stringify({ closed: event.code })),
    connected: () => console.log(JSON.stringify({ connected: true })),
  },
});
const variables = { after: cursor };
client.subscribe(
  {
    query: `subscription ($after: String) {
      tasks(after: $after) { cursor kind task { id status revision } }
    }`,
    variables,
  },
  {
    next: ({ data, errors }) => {
      if (data) variables.after = data.tasks.cursor;
      console.log(JSON.stringify(data?.tasks ?? { errors }));
    },
    error: (error) => console.log(JSON.stringify({ error: String(error) })),
    complete: () => console.log(JSON.stringify({ complete: true })),
  },
);
