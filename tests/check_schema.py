#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_schema.py NAME FILE...: holds every line of the files against `sockfair --schema NAME`, with fields refused that it does not name. Prints what is wrong; status 1 if
anything is, or if there was no line."""
import json
import pathlib
import subprocess
import sys

import jsonschema

from check_results import strict

SOCKFAIR = pathlib.Path(__file__).resolve().parent.parent / "sockfair"


def main():
    schema = json.loads(subprocess.run([SOCKFAIR, "--schema", sys.argv[1]], capture_output=True, text=True, check=True).stdout)
    validator = jsonschema.Draft202012Validator(strict(schema))
    lines = wrong = 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                lines += 1
                for error in validator.iter_errors(json.loads(line)):
                    wrong += 1
                    print(f"{path}:{number}: {error.json_path}: {error.message}")
    return 1 if wrong or not lines else 0


sys.exit(main())
