"""A framework that the package does not know, with its integration: an installed app that registers itself."""
