#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_results.py [--tap] [--label TEXT] [--sent N] [--allow-skip] FILE...

Reads files of `sockfair ... --json` and checks every document: against the JSON Schema (by an independent validator, with
unknown fields refused), that nothing is lost, and that the counts of clients, kernel and server add up on their own, without trusting the
program's own word for it. Prints what is wrong, or with --tap one line per document. Status 1 if anything is.
"""
import argparse
import json
import pathlib
import sys

import jsonschema

SCHEMA = pathlib.Path(__file__).resolve().parent.parent / "user/render/sockfair-1.schema.json"
EXTENDED_ELSEWHERE = ("socket", "worker")  # others build on these: they can't close themselves


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


def problems(doc, sent):
    """What is wrong with the figures of one document of `run`."""
    work = doc["workload"]
    if not work["agrees"]:
        yield "does not agree: " + str(work["disagreement"])
    if doc["lost"]["total"] or doc["lost"]["by_reason"]:
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
    for socket in end["sockets"]:
        own = sum(w[taken] for w in end["workers"] if w["cookie"] == socket["cookie"])
        if own != socket[taken]:
            yield f"socket {socket['cookie']}: {socket[taken]}, its workers {own}"
    for which, rows, key in (("sockets", end["sockets"], came), ("workers", end["workers"], taken)):
        if which == "sockets" and not arrivals_seen:
            continue
        fair = end["fairness"][which]
        if which == "sockets" and fair["bins"] != len(rows):
            yield f"{len(rows)} sockets, {fair['bins']} bins"
        if fair["events"] != sum(r[key] for r in rows):
            yield f"fairness of {which} is over {fair['events']} events"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--label", default="")
    parser.add_argument("--sent", type=int)
    parser.add_argument("--allow-skip", action="store_true")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    validator = jsonschema.Draft202012Validator(strict(json.loads(SCHEMA.read_text())))
    failed = documents = 0
    for name in args.files:
        for line in pathlib.Path(name).read_text().splitlines():
            documents += 1
            doc = json.loads(line)
            wrong = [f"schema: {'/'.join(map(str, e.path))}: {e.message[:200]}" for e in validator.iter_errors(doc)]
            work = doc.get("workload", {})
            skip = work.get("skipped")
            if not wrong and not skip:
                wrong = list(problems(doc, args.sent))
            if skip and not args.allow_skip:
                wrong.append("skipped: " + skip)
            title = f"{args.label}{work.get('mode')}: {work.get('sent')} counted by all, {work.get('rate_per_second') or 0:.0f} a second"
            failed += bool(wrong)
            if args.tap:
                print(f"{'not ok' if wrong else 'ok'} - {title}" + (f" # SKIP {skip}" if skip and not wrong else ""))
            for text in wrong:
                print(f"# {title}: {text}")
    if not documents:
        print(("not ok - " if args.tap else "") + args.label + "no documents")
    return 1 if failed or not documents else 0


if __name__ == "__main__":
    sys.exit(main())
