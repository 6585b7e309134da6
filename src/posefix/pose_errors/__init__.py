"""What goes wrong with a pose: the five kinds of error, how often they come, and how they are drawn."""
