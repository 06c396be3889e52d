"""Faults to record under: a disk that says no, a power cut without a crash, a process that is killed.

disk_double    fails the n-th call on the disk, n = 1, 2, 3 … until a run meets no failure
crash_states   writes down what was asked of the disk, and lays out every state a crash may leave
kill_loop      a recording process killed with SIGKILL at a random moment, again and again
"""
