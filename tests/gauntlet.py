"""The gauntlet: each promise, what is done to it, how often, and what was lost; printed as a Markdown table.

    python -m tests.gauntlet --quick            under 5 minutes
    python -m tests.gauntlet --full             every line, byte, code point; thousands of rounds
    python -m tests.gauntlet --soak 10          damage, full disk, signals, forks, threads at once, for 10 minutes
    python -m tests.gauntlet --against          the same faults on other recorders that are installed here
                             [--older FOLDER]   … and on `ai-decision-tracer`, which has our module's name

The rows are tests of the suite with more rounds. A row is green where each of its tests passed: every one of
them fails when something acknowledged is lost. `SEED` in the environment repeats a run; it is printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from typing import Final, NamedTuple

from tests.children import ROOT

__all__ = ["ROWS", "Row"]


class Row(NamedTuple):
    """A promise, what is done to it, the tests that do it, and how often: environment for quick and for full."""

    promise: str
    done: str
    tests: tuple[str, ...]
    quick: dict[str, str] = {}
    full: dict[str, str] = {}


APP = "the app comes first"
KEPT = "acknowledged is readable"
SEEN = "started is visible"
DAMAGE = "one bad line costs one line"
WHOLE = "a snapshot is whole or absent"
TOLD = "drops are counted and told"
ACTS = "nothing recorded can act"
PRIVATE = "private by default"
OLD = "old files open, newer ones as far as understood"
BOUND = "memory is bounded"

ROWS: Final = (
    Row(f"{KEPT}; {SEEN}", "kill -9 at random moments", ("test_kill_nine",), {"ROUNDS": "40"}, {"ROUNDS": "400"}),
    Row(f"{KEPT}; {SEEN}", "killed at each byte of each write; power cut in each legal state", ("test_crash_states",)),
    Row(KEPT, "power cut on a real ext4 image", ("test_power_cut",), {"POWER_CUTS": "2"}, {"POWER_CUTS": "12"}),
    Row(KEPT, "exit, segfault, signals, finalizers at shutdown", ("test_interpreter_shutdown",)),
    Row(f"{APP}; {TOLD}", "each call on the disk fails, in 15 ways, once and for ever", ("test_every_disk_call_may_fail",)),
    Row(TOLD, "a disk filled and freed five times", ("test_disk_full",)),
    Row(TOLD, "real EIO, failed syncs, no descriptors, no inodes, read-only", ("test_errors_of_the_disk",)),
    Row(TOLD, "folder and files removed, moved, rotated, cut", ("test_files_taken_away",)),
    Row(
        APP, "Ctrl-C at each line of ours, handlers, finalizers that trace", ("test_signals_and_finalizers",),
        {"INTERRUPT_EVERY": "1", "STORM_SECONDS": "3"}, {"INTERRUPT_EVERY": "1", "STORM_SECONDS": "60"},
    ),
    Row(
        APP, "Ctrl-C at each bytecode of ours",
        ("test_signals_and_finalizers.py::test_ctrl_c_at_any_line_of_ours_leaves_a_readable_journal_and_a_working_tracer",),
        {"INTERRUPT_EVERY": "20", "INTERRUPT_OPCODES": "1"}, {"INTERRUPT_EVERY": "1", "INTERRUPT_OPCODES": "1"},
    ),
    Row(APP, "memory runs out", ("test_running_out_of_memory",)),
    Row(APP, "hostile values at every door; exceptions of every kind", ("test_hostile_values_everywhere", "test_exceptions_pass_unchanged")),
    Row(APP, "clocks that jump; switches of Python; no streams", ("test_clock_jumps", "test_import_is_light")),
    Row(KEPT, "threads, tasks, forks, pools, sixteen processes", ("test_many_hands", "test_forks_and_pools")),
    Row(
        f"{KEPT}; {TOLD}", "threads, forks, signals, a full disk, damage beside, a kill: all at once", ("test_all_at_once",),
        {"SOAK_ROUNDS": "2"}, {"SOAK_ROUNDS": "20"},
    ),
    Row(WHOLE, "each call fails; killed while saving; readers meanwhile", ("test_snapshots_are_whole", "test_saving_under_way"), {"KILLS": "15"}, {"KILLS": "200"}),
    Row(DAMAGE, "cut at each byte; the damaged files; mutations", ("test_truncation_at_every_byte", "test_reading_damaged_files"), {"ROUNDS": "5000"}, {"ROUNDS": "100000"}),
    Row(DAMAGE, "files that grow, shrink, vanish while they are followed", ("test_following",)),
    Row(OLD, "the older package's lines; unknown fields; a format of tomorrow", ("test_reading_other_forms",)),
    Row(ACTS, "all of Unicode through each column of each command", ("test_terminal_text_is_safe", "test_code_points_through_every_command"), {}, {"EVERY_CODE_POINT": "1"}),
    Row(ACTS, "hostile text through reports and exports", ("test_postmortem", "test_export_anything", "test_export_files")),
    Row(PRIVATE, "modes, planted links, FIFOs, races; a canary in every byte", ("test_private_files", "test_secrets_are_masked")),
    Row(BOUND, "thousands of tracers and steps; endless logs", ("test_leaks",), {"TRACERS": "2000", "STEPS": "100000"}, {"TRACERS": "100000", "STEPS": "10000000"}),
)  # fmt: skip


def _run(row: Row, full: bool, seed: str) -> tuple[str, bool]:
    """The last cells of *row*'s line in the table, and whether all is well."""
    chosen = row.full or row.quick if full else row.quick
    paths = [os.path.join("tests", test if "::" in test else f"{test}.py") for test in row.tests]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-rs", *paths]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **chosen, "SEED": seed}, capture_output=True, text=True)
    took = time.monotonic() - began
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}
    rounds = ", ".join(f"{name.lower().replace('_', ' ')} {value}" for name, value in chosen.items())
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-2000:], file=sys.stderr)
    tests = f"{counts.get('passed', 0)} tests" + (f", {counts['skipped']} skipped" if "skipped" in counts else "")
    lost = "0" if not done.returncode else f"**{counts.get('failed', 0) + counts.get('error', 0)} failed**"
    return f"{tests}{'; ' + rounds if rounds else ''} | {lost} | {took:.0f} s", not done.returncode


def _gauntlet(full: bool, seed: str) -> int:
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, seed {seed}\n")
    print("| promise | what is done to it | rounds | lost | took |\n|---|---|---|---|---|", flush=True)
    bad, before, began = 0, os.times(), time.monotonic()
    for row in ROWS:
        cells, well = _run(row, full, seed)
        bad += not well
        print(f"| {row.promise} | {row.done} | {cells} |", flush=True)
    after, took = os.times(), time.monotonic() - began
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"\n{took:.0f} s in all, {cpu:.0f} s of the processor: on a busy machine the second says more")
    return 1 if bad else 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gauntlet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--quick", action="store_true")
    mode.add_argument("--full", action="store_true")
    mode.add_argument("--soak", type=float, metavar="MINUTES")
    mode.add_argument("--against", action="store_true")
    parser.add_argument("--older", metavar="FOLDER", help="where the package ai-decision-tracer is unpacked")
    parser.add_argument("--rounds", type=int, default=8, help="of each part of --against")
    args = parser.parse_args(argv)
    seed = os.environ.get("SEED", str(time.time_ns() % 2**32))
    if args.soak is not None:
        from tests.faults import soak

        return soak.main(["--minutes", str(args.soak), "--seed", seed])
    if args.against:
        from tests.against import compare

        print(f"Python {platform.python_version()}, seed {seed}, {args.rounds} rounds\n")
        print("\n".join(compare(args.older, args.rounds, int(seed))))
        return 0
    return _gauntlet(args.full, seed)


if __name__ == "__main__":
    raise SystemExit(main())
