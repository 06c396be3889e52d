"""Bridges and formats against the real libraries, talking to `fake_provider` on 127.0.0.1; no network beyond.

    python -m venv /tmp/ecosystem && /tmp/ecosystem/bin/pip install . -r tests/ecosystem/requirements.txt
    /tmp/ecosystem/bin/python -m pytest tests/ecosystem

A test whose library is absent is skipped, and says so; the core's tests need none of them. `.ci/run` does
the above on one Python after the core's suites.
"""
