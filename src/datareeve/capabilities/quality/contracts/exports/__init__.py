"""Rules as other tools' checks: what a format cannot hold is named, never weakened."""
