"""GitHub-style personal access tokens with fine-grained scopes, for Django."""

__version__ = "0.1.0"
