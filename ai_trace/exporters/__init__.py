"""A session in the formats of other tools; one file per format, imported only when it is asked for.

Each has `export(session, losses) -> Iterator[bytes]`, the whole file in pieces, and tells *losses* what the
format could not carry. Guarantees: every session goes through every format, whatever a stranger's text in it
says; what comes out is valid in its format; the files of the session are read and never touched.
"""
