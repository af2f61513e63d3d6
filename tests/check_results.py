#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_results.py [--tap] [--label TEXT] [--sent N] [--allow-skip] [--port P] [--expect-accepted N] [--expect-arrived N] FILE...

Reads files of `sockfair ... --json` and checks every document: against the JSON Schema (by an independent validator, with
unknown fields refused), that nothing is lost, and that the counts of clients, kernel and server add up on their own, without trusting the
program's own word for it. Prints what is wrong, or with --tap one line per document. Status 1 if anything is.

SOCKFAIR_TEST_DOCUMENTS: a folder where all documents are kept, for check_schema.py to hold them against their schemas at the end: to load the
validator for each takes longer than the rest.

Documents of `watch` and `list` have no workload to be held against. --port looks at the endpoints of that port only.
--expect-accepted (accepted, or received) and --expect-arrived (arrived, or delivered + dropped) say what the final document must have
counted over all of them; a file of intervals must add up to its final document.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import sys

SCHEMAS = pathlib.Path(__file__).resolve().parent.parent / "user/render"
EXTENDED_ELSEWHERE = ("socket", "worker")  # others build on these: they can't close themselves


def schema_check(name="sockfair-1"):
    """A function of a document's line: what is wrong with it by that schema."""
    folder = os.environ.get("SOCKFAIR_TEST_DOCUMENTS")
    if folder:
        test = os.environ.get("BATS_TEST_NAME", "")[:100]
        kept = open(pathlib.Path(folder) / f"{name}.{test}.{os.getpid()}", "a", encoding="utf-8")

        def keep(line):
            kept.write(line + "\n")
            return []

        return keep
    import jsonschema  # here, for it takes long

    validator = jsonschema.Draft202012Validator(strict(json.loads((SCHEMAS / f"{name}.schema.json").read_text())))
    return lambda line: [f"schema: {e.json_path}: {e.message[:200]}" for e in validator.iter_errors(json.loads(line))]


def lost(doc):
    return doc["lost"]["by_reason"]


def strict(schema, name=""):
    """The schema with fields that it does not name refused, so that a typing error in a name is found."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(part, key) for key, part in schema.items()}
    closed = "properties" in schema and ("type" in schema or "$ref" in schema) and "additionalProperties" not in schema
    if closed and name not in EXTENDED_ELSEWHERE:
        out["unevaluatedProperties"] = False
    return out


def names(end):
    """What came to a socket and what was taken from it, as this protocol calls it."""
    return ("delivered", "received") if end["protocol"] == "udp" else ("arrived", "accepted")


def by_socket(end, taken):
    """Each socket's count is that of its workers; where rows are left out theirs is at most that."""
    own = collections.Counter()
    for worker in end["workers"]:
        own[worker["cookie"]] += worker[taken]
    left_out = any(end["omitted"].values())
    for socket in end["sockets"]:
        count = own[socket["cookie"]]
        if count > socket[taken] or (count < socket[taken] and not left_out):
            yield f"socket {socket['cookie']}: {socket[taken]}, its workers {count}"


def waits(end, taken, at_rest):
    """Percentiles rise, nothing waits longer than the longest, and at rest all that was accepted waited, or came before the window."""
    rows = [(f"socket {s['cookie']}", s) for s in end["sockets"]] + [(f"thread {w['tid']}", w) for w in end["workers"]]
    for name, row in rows:
        wait = row.get("wait_ns")
        if not wait or not wait["count"]:
            continue
        rising = [wait[key] for key in ("p50", "p90", "p99", "max") if wait[key] is not None]
        if rising != sorted(rising) or wait["mean"] > wait["max"]:
            yield f"{name}: waits {json.dumps(wait)}"
        if at_rest and wait["count"] + row["queued_before"] > row[taken]:
            yield f"{name}: {wait['count']} waited and {row['queued_before']} were queued before, of {row[taken]}"


def handshakes(end):
    """Withheld ACKs are part of the drops, and no look found more than the highest."""
    for s in end["sockets"]:
        withheld, queue = s.get("withheld"), s.get("half_open")
        if withheld and not 0 <= withheld["least"] <= withheld["most"] <= s["drops"]:
            yield f"socket {s['cookie']}: withheld {json.dumps(withheld)} of {s['drops']}"
        if queue and queue["length"] is not None and not queue["repeated"] <= queue["length"] <= queue["highest"]:
            yield f"socket {s['cookie']}: half-open {json.dumps(queue)}"


def counted(end):
    """All that an endpoint took, and all that came to it."""
    came, taken = names(end)

    def of(what):
        return end[what] + [end["omitted"]]

    return sum(r[taken] for r in of("workers")), sum(r[came] + r.get("dropped", 0) for r in of("sockets"))


def fairness_problems(end, arrivals_seen):
    """Fairness is over the rows; those that lived for part of the window may be left out."""
    came, taken = names(end)
    for which, rows, key in (("sockets", end["sockets"], came), ("workers", end["workers"], taken),
                             ("processes", end["workers"], taken)):
        if which == "sockets" and not arrivals_seen:
            continue
        fair, total = end["fairness"][which], sum(r[key] for r in rows) + end["omitted"][key]
        left_out = end["omitted"]["sockets" if which == "sockets" else "workers"]
        in_part = left_out or any(r["appeared"] or r["ended"] for r in rows)
        if fair["events"] > total or (fair["events"] < total and not in_part):
            yield f"fairness of {which} is over {fair['events']} events of {total}"
        if fair["bins"] > len(rows) + left_out:
            yield f"fairness of {which}: {fair['bins']} bins of {len(rows)} rows"


def watch_problems(doc, port):
    """What is wrong with the figures of one document of `watch` or `list`."""
    if lost(doc):
        yield "lost: " + json.dumps(doc["lost"])
    seen = collections.Counter(s["cookie"] for end in doc["endpoints"] for s in end["sockets"] if s["cookie"])
    for cookie, times in seen.items():
        if times > 1:
            yield f"socket {cookie} is listed {times} times"
    for end in doc["endpoints"]:
        if port is not None and end["port"] != port:
            continue
        udp = end["protocol"] == "udp"
        seen = not any(what.startswith("arrivals of " + ("UDP" if udp else "TCP")) for what in doc["kernel"]["unseen"])
        wrong = list(by_socket(end, names(end)[1])) + list(fairness_problems(end, seen))
        wrong += waits(end, names(end)[1], False)
        wrong += handshakes(end)
        yield from (f"{end['protocol']} {end['address']}:{end['port']}: {text}" for text in wrong)


class Intervals:
    """What the documents of one file count, to hold against its final document and against what was expected."""

    def __init__(self, args):
        self.args = args
        self.sums, self.finals, self.any = [0, 0], 0, False

    def add(self, doc):
        args = self.args
        ends = [e for e in doc["endpoints"] if args.port is None or e["port"] == args.port]
        sums = [sum(part) for part in zip(*map(counted, ends))] or [0, 0]
        if args.port is None:
            out = doc.get("omitted", {})
            sums = [sums[0] + out.get("accepted", 0) + out.get("received", 0),
                    sums[1] + out.get("arrived", 0) + out.get("delivered", 0) + out.get("dropped", 0)]
        if not doc["window"]["final"]:
            self.sums = [a + b for a, b in zip(self.sums, sums)]
            self.any = True
            return
        self.finals += 1
        if self.any and self.sums != sums:
            yield f"the intervals count {self.sums} (accepted, arrived), the whole window {sums}"
        for what, count, want in zip(("accepted", "arrived"), sums, (args.expect_accepted, args.expect_arrived)):
            if want is not None and count != want:
                yield f"{what}: {count}, expected {want}"

    def end(self):
        if not self.finals and (self.args.expect_accepted is not None or self.args.expect_arrived is not None):
            yield "no final document"


def run_problems(doc, sent):
    """What is wrong with the figures of one document of `run`."""
    work = doc["workload"]
    if not work["agrees"]:
        yield "does not agree: " + str(work["disagreement"])
    if lost(doc):
        yield "lost: " + json.dumps(doc["lost"])
    if len(doc["endpoints"]) != 1:
        yield f"{len(doc['endpoints'])} endpoints"
        return
    end = doc["endpoints"][0]
    udp = end["protocol"] == "udp"
    came, taken = ("delivered", "received") if udp else ("arrived", "accepted")
    arrivals_seen = not any(what.startswith("arrivals of " + ("UDP" if udp else "TCP")) for what in doc["kernel"]["unseen"])
    sums = {
        "workers": sum(w[taken] for w in end["workers"]),
        "sockets": sum(s[taken] for s in end["sockets"]),
        "server": work["accepted"],
        "served": work["served"],
        "served by workers": sum(w["served"] or 0 for w in end["workers"]),
    }
    if arrivals_seen:
        sums["arrived"] = sum(s[came] for s in end["sockets"])
    dropped = sum(s.get("dropped", 0) for s in end["sockets"])
    # Where arrivals are not seen, drops are not all seen either: then the server's own count is what there is.
    want = work["sent"] - dropped if arrivals_seen or not udp else work["accepted"]
    by_cpu = sum(c["arrived"] for c in end["cpus"])
    # A datagram that is dropped after it was staged did arrive on a CPU.
    if arrivals_seen and not sums["arrived"] <= by_cpu <= sums["arrived"] + dropped:
        yield f"arrivals by CPU: {by_cpu}, in all {sums['arrived']}"
    for what, count in sums.items():
        if count != want:
            yield f"{what}: {count}, clients: {want}"
    if sent is not None and work["sent"] != sent:
        yield f"sent {work['sent']}, asked for {sent}"
    yield from by_socket(end, taken)
    yield from waits(end, taken, True)
    for which, rows, key in (("sockets", end["sockets"], came), ("workers", end["workers"], taken)):
        if which == "sockets" and not arrivals_seen:
            continue
        fair = end["fairness"][which]
        if which == "sockets" and fair["bins"] != len(rows):
            yield f"{len(rows)} sockets, {fair['bins']} bins"
        if fair["events"] != sum(r[key] for r in rows):
            yield f"fairness of {which} is over {fair['events']} events"


def title_of(doc, args):
    work = doc.get("workload")
    if work:
        return f"{args.label}{work.get('mode')}: {work.get('sent')} counted by all, {work.get('rate_per_second') or 0:.0f} a second"
    window = doc.get("window", {})
    return f"{args.label}{'whole window' if window.get('final') else 'interval'} of {window.get('seconds') or 0:.1f} s"


def too_old_for(skip, release):
    """The reason names the kernel that has it, and this one is older."""
    needs = re.search(r"needs kernel (\d+)\.(\d+)$", skip)
    return bool(needs) and [int(n) for n in re.findall(r"\d+", release)[:2]] < [int(n) for n in needs.groups()]


def problems(doc, args, intervals):
    """What is wrong with one document that is in the schema."""
    if "workload" not in doc:
        return list(watch_problems(doc, args.port)) + list(intervals.add(doc))
    skip = doc["workload"].get("skipped")
    if skip:
        return [] if args.allow_skip or too_old_for(skip, doc["kernel"]["release"]) else ["skipped: " + skip]
    return list(run_problems(doc, args.sent))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--label", default="")
    parser.add_argument("--sent", type=int)
    parser.add_argument("--allow-skip", action="store_true")
    parser.add_argument("--port", type=int)
    parser.add_argument("--expect-accepted", type=int)
    parser.add_argument("--expect-arrived", type=int)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    by_schema = schema_check()
    failed = documents = 0
    for name in args.files:
        intervals = Intervals(args)
        for line in pathlib.Path(name).read_text().splitlines():
            documents += 1
            doc = json.loads(line)
            wrong = by_schema(line) or problems(doc, args, intervals)
            skip = doc.get("workload", {}).get("skipped")
            title = title_of(doc, args)
            failed += bool(wrong)
            if args.tap:
                print(f"{'not ok' if wrong else 'ok'} - {title}" + (f" # SKIP {skip}" if skip and not wrong else ""))
            for text in wrong:
                print(f"# {title}: {text}")
        for text in intervals.end():
            failed += 1
            print(f"{'not ok - ' if args.tap else '# '}{args.label}{name}: {text}")
    if not documents:
        print(("not ok - " if args.tap else "") + args.label + "no documents")
    return 1 if failed or not documents else 0


if __name__ == "__main__":
    sys.exit(main())
