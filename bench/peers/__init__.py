"""What the product is measured against: programs that do the same with what is known today."""
