"""Write numbered lines to a file that stays open until SIGUSR1, and remember how many were really written."""

import os
import signal
import sys
import time

PATH = sys.argv[1]
stale = True


def reopen(*_):
    globals()["stale"] = True


signal.signal(signal.SIGUSR1, reopen)
number, descriptor = 0, -1
while True:
    if stale:
        stale = False
        if descriptor >= 0:
            os.close(descriptor)
        descriptor = os.open(PATH, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    line = b"%012d %s\n" % (number, b"x" * 486)
    try:
        # A full disk refuses or shortens the line: what could be written is taken back, and tried again.
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 500 * 500)
            time.sleep(0.05)
            continue
    except OSError:
        time.sleep(0.05)
        continue
    number += 1
    if number % 50 == 0:
        time.sleep(0.02)
