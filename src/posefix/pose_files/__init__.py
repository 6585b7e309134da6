"""What all formats of pose files share."""
