"""The refinement network; the rooms that import torch begin here."""
