"""What the product does: operations, reads, the live feed. Knows no GraphQL, HTTP or Dash."""
