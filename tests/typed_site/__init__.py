"""A user's site, checked by mypy in strict mode and by pyright: `make types`. It isn't run."""
