"""A framework that the package doesn't know, with its integration: an installed app that registers itself."""
