"""Bridges and formats against the real programs of others, on 127.0.0.1; no network beyond.

    python -m venv ecosystem && ecosystem/bin/pip install . -r tests/ecosystem/requirements.txt
    ecosystem/bin/python -m pytest -rs tests/ecosystem

A test whose library is absent is skipped, and says so; the core's tests need none of them. `.ci/run` does
the above on one Python after the core's suites. Each file says at its top what it needs. Two are large and
get an environment of their own: `arize-phoenix`, and `harbor` (`pip install --no-deps harbor` with `pydantic`
is enough here).
"""
