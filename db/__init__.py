"""Tables, migrations and connections. Knows nothing of what the product does with them."""
