"""How often an answer of each case was right, on the half of the corpus that is tuned by. Written by `bench/quality_classify.py --calibrate`."""

CALIBRATION: dict[str, float] = {}
