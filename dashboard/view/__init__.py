"""What it looks like: the layout, and the parts that are drawn from boards."""
