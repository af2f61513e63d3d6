#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_schema.py NAME FILE...: holds every line of the files against the JSON Schema of that name, with fields refused that it does not name. check_schema.py
--kept FOLDER: the same of all documents that the tests have kept there (check_results.py), and a line of TAP. Prints what is wrong; status 1 if
anything is, or if there was no line."""
import functools
import multiprocessing
import os
import pathlib
import sys

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
from check_results import schema_check  # noqa: E402


check_of = functools.cache(schema_check)


def check(named):
    """(number of lines, what is wrong) of one file."""
    name, path = named
    wrong, number = [], 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        wrong += [f"{path}:{number}: {error}" for error in check_of(name)(line)]
    return number, wrong


def checked(files, kept):
    """check() of each; of the thousands that were kept on all CPUs."""
    if not kept:
        yield from map(check, files)
        return
    with multiprocessing.Pool() as pool:
        yield from pool.imap(check, files, chunksize=8)


def main(arguments):
    if arguments[0] == "--kept":
        os.environ.pop("SOCKFAIR_TEST_DOCUMENTS", None)
        files = [(path.name.split(".")[0], path) for path in sorted(pathlib.Path(arguments[1]).iterdir())]
    else:
        files = [(arguments[0], pathlib.Path(path)) for path in arguments[1:]]
    lines, bad = 0, False
    for number, wrong in checked(files, arguments[0] == "--kept"):
        lines += number
        bad |= bool(wrong)
        for error in wrong:
            print(error)
    bad |= not lines
    if arguments[0] == "--kept":
        print(f"{'not ok' if bad else 'ok'} - {lines} documents are in their schemas")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
