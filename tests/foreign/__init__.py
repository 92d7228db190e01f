"""A site like none of ours: its own user model, other token schemes, no admin; `tests/test_foreign.py` runs it."""
