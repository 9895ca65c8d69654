"""What happens by itself: who fell silent, what is old, whether the kept figures are right."""
