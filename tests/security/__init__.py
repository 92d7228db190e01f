"""Attacks on what the threat model promises, tried for real."""
