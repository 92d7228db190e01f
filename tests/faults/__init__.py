"""Faults: failures must not leave partial changes, or allow anything."""
