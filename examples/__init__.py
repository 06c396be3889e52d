"""Small true programs, each of which ends in a look at its own trace: `python -m examples.code_review`."""
