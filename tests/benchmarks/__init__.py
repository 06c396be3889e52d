"""What recording costs: plain scripts, run by `python -m tests.benchmarks.<name>`, with a table or `--json`.

    step_cost     one step, as a multiple of the same record written by hand
    import_time   `import ai_trace`, above bare Python
    reading       list, stats, tail and view, as a multiple of a bare `json.loads` loop
    memory        growth of the process over a million steps

Nothing here is collected by pytest, and nothing here has to be installed: peers are measured where they are.
"""
