"""Figures that anyone can reproduce: `make bench`, each beside a limit measured in the same run."""
