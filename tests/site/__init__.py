"""A site as other people would have written it: one view of each kind that there is."""
