"""Races: what happens at the same time must end as if it had happened one after the other."""
