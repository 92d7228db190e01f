"""Faults: what breaks must leave things as they were, and let nobody in."""
