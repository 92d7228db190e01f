"""Files that the tutorial's site needs to run the code of the how-to guides. They are copied, not imported."""
