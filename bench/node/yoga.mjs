// Node with graphql-yoga and graphql-ws, as their documentation puts them together.
import { createServer } from "node:http";
import { createPubSub, createSchema, createYoga } from "graphql-yoga";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const pubSub = createPubSub();
const schema = createSchema({
  typeDefs: `
    type Task { id: ID! name: String! status: String! revision: Int! startedAt: String updatedAt: String! details: String }
    type TaskEvent { cursor: String! kind: String! occurredAt: String! task: Task! }
    type Query { version: String! }
    type Subscription { tasks: TaskEvent! }
  `,
  resolvers: {
    Query: { version: () => "1" },
    Subscription: {
      tasks: { subscribe: () => pubSub.subscribe("tasks"), resolve: (event) => event },
    },
  },
});
const yoga = createYoga({ schema, logging: false });
const server = createServer((request, response) => {
  const publish = /^\/publish\/(\d+)$/.exec(request.url);
  if (!publish) return yoga(request, response);
  for (let number = 0; number < Number(publish[1]); number += 1) {
    const now = new Date().toISOString();
    pubSub.publish("tasks", {
      cursor: String(number),
      kind: "UPDATED",
      occurredAt: now,
      task: {
        id: "task_01a20a81-4634-70c0-933b-6a26ca16e7b3",
        name: "second step",
        status: "RUNNING",
        revision: number,
        startedAt: now,
        updatedAt: now,
        details: null,
      },
    });
  }
  response.end();
});
const sockets = new WebSocketServer({ server, path: "/graphql" });
useServer({ schema }, sockets);
server.listen(Number(process.argv[2]), "127.0.0.1");
