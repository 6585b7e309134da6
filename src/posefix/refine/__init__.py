"""Refinement: photos and poses in, better poses out."""
