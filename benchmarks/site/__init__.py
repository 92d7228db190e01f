"""The site whose requests are measured."""
