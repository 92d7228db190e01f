"""What authenticating a token costs, compared to other packages: `make bench`."""

OURS = "pat_tokens, 50 scopes"  # the candidate that the bounds are about
FEW = 1000  # rows in the table that has few
