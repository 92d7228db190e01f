"""Races: concurrent requests must end as if they had run one after the other."""
