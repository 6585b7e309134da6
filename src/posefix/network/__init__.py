"""What a trained model is, without PyTorch."""

DEFAULT_MODEL_NAME = "base"
"""The packaged model that is taken where none is named; here, where it is known without loading anything."""
