"""People cut out of their photos once, with what is around them, in files that are read fast and in any order."""
