"""How often an answer of each case was right, on the half of the corpus that is tuned by. Written by `bench/quality_classify.py --calibrate`."""

CALIBRATION: dict[str, float] = {
    "certain/fits/person": 0.99,
    "certain/fits/unknown": 0.98,
    "certain/open/person": 0.988,
    "certain/unseen/person": 0.99,
    "likely/fits/person": 0.989,
    "likely/open/person": 0.933,
    "likely/unseen/named": 0.85,
    "likely/unseen/person": 0.879,
    "no certain/fits/thing": 0.923,
    "no likely/fits/thing": 0.974,
    "no likely/open/person": 0.9,
    "no likely/open/thing": 0.985,
    "no likely/open/unknown": 0.966,
    "no likely/unseen/thing": 0.979,
    "no nothing": 0.99,
    "values/email": 0.944,
    "values/name": 0.971,
}
