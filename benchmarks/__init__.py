"""A comparison with other packages: `make bench`, or `python -m benchmarks --help`."""

FEW = 1000  # rows of the small tables
ANONYMOUS = "anonymous"
OURS = "pat_tokens, 50 scopes"
INSTANCES = "its SELECT and instances"
AUTHTOKEN = "DRF authtoken"
COMPARED = ANONYMOUS, OURS, INSTANCES, AUTHTOKEN  # measured in each setting
