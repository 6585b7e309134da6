"""What a trained model is, without PyTorch."""
