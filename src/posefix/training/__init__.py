"""Training: person records, batches of wrong poses, the loop, recipes."""
