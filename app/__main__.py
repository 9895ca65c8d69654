"""`python -m app`: the command, for where scripts are not installed."""

from app.cli import main

main()
