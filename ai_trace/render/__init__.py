"""A session as text for people: on a terminal (`terminal.py`), as a postmortem in Markdown (`markdown.py`).

Pure: no file, no clock, no environment; the caller says what time it is and how wide the screen. Every text
that a trace holds passes through `safe`, so nothing recorded can act on who reads it. All of it comes as
streams of lines, so a session of any length can be shown.
"""
