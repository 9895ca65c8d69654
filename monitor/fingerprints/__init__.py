"""Which errors are alike: what is said of one, made into a text that is equal for its like."""
