"""Refinement of very many poses, on Ray: in units that are done once, wherever and however often they are tried."""

from __future__ import annotations

from posefix.bulk.dataset import Options, refine
from posefix.bulk.settings import Model

__all__ = ["Model", "Options", "refine"]
