"""The promises of `ai_trace`, one file each: read the names of the files, then the docstrings of the tests.

Run all with `python -m pytest`. What is random prints its seed and takes it back from `SEED`.
"""
