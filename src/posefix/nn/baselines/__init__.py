"""Networks that the paper compares with, trained by the same loop and run by the same refiner as ours."""
