#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_comparison.py FILE...: checks saved comparisons of `sockfair compare --json`: against the JSON Schema (unknown fields refused), and that means,
differences and marks follow from the runs that are in it. Prints what is wrong; status 1 if anything is."""
import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_results


def close(a, b):
    return (a is None) == (b is None) and (a is None or abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1e-6))


def has_traffic(run):
    return run["figures"]["events"] != 0 or (run["figures"]["drops"] or 0) > 0


def stat_problems(name, stats, runs):
    """One figure of one subject. runs: by side."""
    means = {}
    for side, own in runs.items():
        busy = [r for r in own if has_traffic(r)] or own
        values = [r["figures"][name] for r in busy if r["figures"][name] is not None]
        if values:
            means[side] = values
    if {s["side"] for s in stats} != set(means):
        yield f"{name}: sides {[s['side'] for s in stats]}, known of {sorted(means)}"
        return
    for s in stats:
        values = means[s["side"]]
        mean, sd = statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None
        base = statistics.mean(means[0]) if 0 in means and s["side"] else None
        for what, own, want in (("runs", s["runs"], len(values)), ("mean", s["mean"], mean), ("sd", s["sd"], sd),
                                ("difference", s["difference"], None if base is None else mean - base)):
            # A difference of nearly equal means has fewer digits than they have.
            if not close(own, want) and not (what in ("difference", "sd") and None not in (own, want) and abs(own - want) < 1e-6 * abs(mean)):
                yield f"{name} of side {s['side']}: {what} {own}, its runs give {want}"
        if s["p_value"] is not None and (s["told"] == "different") != (s["p_value"] < 0.01):
            yield f"{name} of side {s['side']}: p {s['p_value']}, but {s['told']}"
        if s["p_value"] is not None and min(len(values), len(means[0])) < 5:
            yield f"{name} of side {s['side']}: tested with {len(values)} runs"


def problems(doc):
    for subject in doc["subjects"]:
        runs = {r["side"]: r["runs"] for r in subject["results"]}
        if len(runs) != len(subject["results"]) or max(runs) >= len(doc["sides"]):
            yield "sides: " + json.dumps(sorted(r["side"] for r in subject["results"]))
        for r in subject["results"]:
            if r["runs_with_traffic"] != sum(map(has_traffic, r["runs"])):
                yield f"runs_with_traffic of side {r['side']}: {r['runs_with_traffic']}"
        for name, stats in subject["figures"].items():
            yield from stat_problems(name, stats, runs)
            marks = [s["mark"] for s in stats if s["mark"]]
            if len(set(marks)) != len(marks):
                yield f"{name}: two sides have the mark {marks}"


def main():
    by_schema = check_results.schema_check("sockfair-comparison-1")
    wrong = 0
    for file in sys.argv[1:]:
        lines = pathlib.Path(file).read_text().splitlines()
        if len(lines) != 1:
            print(f"{file}: {len(lines)} lines")
            wrong += 1
        for line in lines:
            found = by_schema(line) or list(problems(json.loads(line)))
            wrong += len(found)
            for text in found:
                print(f"{file}: {text}")
    return 1 if wrong or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
