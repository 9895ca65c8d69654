"""The GraphQL API: converts, calls one operation or read of `monitor`, converts back."""
