"""What the tutorial's site needs to run the snippets of the how-to pages. Copied there, not imported."""
