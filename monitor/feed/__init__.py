"""The live feed: what was committed goes into a log, in order, and is read once per process."""
