"""How GraphQL comes in and goes out: HTTP, WebSocket, Server-Sent Events, the explorer."""
