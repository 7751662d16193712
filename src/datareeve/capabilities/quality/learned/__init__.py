"""Learned expectations: what the history of a figure lets one expect of the next, and whether a figure is to be noticed.

A *point* is a figure at a moment; a *series* is points in order of time. What is learned ends strictly before the point that is judged. A person's
word is kept beside a point: a *one-off* is left out of what is learned, a *new normal* is what is learned from then on.
"""

from datareeve.capabilities.quality.learned.expecting import Said, expect, judge, settings_of, watched
from datareeve.capabilities.quality.learned.points import Expectation, NotEnough, Point, Settings, points

__all__ = (
    "Expectation",
    "NotEnough",
    "Point",
    "Said",
    "Settings",
    "expect",
    "judge",
    "points",
    "settings_of",
    "watched",
)
