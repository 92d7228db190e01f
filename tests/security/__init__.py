"""Attacks on the promises of the threat model."""
