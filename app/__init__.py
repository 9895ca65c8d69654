"""The composition root: reads the environment, builds everything, starts it. Nobody imports it."""
