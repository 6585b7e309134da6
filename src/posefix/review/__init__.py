"""A page to look at refined poses and decide about each person: accept, reject, or correct by hand."""
