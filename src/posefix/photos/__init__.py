"""Photos and frames of videos: found, named and decoded."""
