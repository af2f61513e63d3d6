#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_schema.py NAME FILE...: holds every line of the files against the JSON Schema of that name, with fields refused that it does not name. check_schema.py
--kept FOLDER: the same of all documents that the tests have kept there (check_results.py), and a line of TAP. Prints what is wrong; status 1 if
anything is, or if there was no line."""
import os
import pathlib
import sys

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
from check_results import schema_check  # noqa: E402


def main(arguments):
    if arguments[0] == "--kept":
        os.environ.pop("SOCKFAIR_TEST_DOCUMENTS", None)
        files = [(path.name.split(".")[0], path) for path in sorted(pathlib.Path(arguments[1]).iterdir())]
    else:
        files = [(arguments[0], pathlib.Path(path)) for path in arguments[1:]]
    checks = {name: schema_check(name) for name, _ in files}
    lines = wrong = 0
    for name, path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            lines += 1
            for error in checks[name](line):
                wrong += 1
                print(f"{path}:{number}: {error}")
    bad = wrong or not lines
    if arguments[0] == "--kept":
        print(f"{'not ok' if bad else 'ok'} - {lines} documents are in their schemas")
    return 1 if bad else 0


sys.exit(main(sys.argv[1:]))
