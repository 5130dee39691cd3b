"""Figures that only infermesh has: the decision alone, and the cost of watching many engines."""
from __future__ import annotations

OWN = {}
