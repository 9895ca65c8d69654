"""The operators' dashboard; speaks GraphQL to the API like any other client."""
