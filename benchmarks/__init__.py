"""What checking a token costs, beside other packages: `make bench`."""
