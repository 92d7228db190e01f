"""Queries with slots, for tests of what executes them."""

from pat_tokens.compiled import Slot, make_query


def query(sql, slots=0, constants=()):
    """Return the query of `sql`, which has `%s` first for each of so many slots, and then for `constants`."""
    places = [Slot(number) for number in range(slots)]
    return make_query(sql, (*places, *constants), places)
