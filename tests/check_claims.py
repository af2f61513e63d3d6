#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_claims.py [--tap] [--label TEXT] [--skipped NAME[,NAME...]] [--names NAME[,NAME...]] FILE

Reads the one document of `sockfair claims --json` and checks it: against the JSON Schema (unknown fields refused), that just the claims of
--skipped are skipped, that just those of --names are there, and that the figures say what every kernel so far does. The verdicts
are held against the figures by rules of this file, not the program's. Prints what is wrong, or with --tap one line per claim. Status 1 if anything
is.
"""
import argparse
import json
import pathlib
import sys

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
from check_results import schema_check  # noqa: E402


def expect(fig, **wanted):
    """The figures that are not as they should be."""
    for name, want in wanted.items():
        if name not in fig or fig[name] != want:
            yield f"{name} is {fig.get(name)}, not {want}"


def binds(fig, verdict):
    count = "sockets_bound" if "sockets_bound" in fig else "sockets_listening"
    yield from expect(fig, sockets_tried=4, sockets_reached=4, second_binds_without_option=False,
                      second_binds_if_only_first_has_it=False, second_binds_if_only_second_has_it=False, **{count: 4})
    requests = "datagrams" if count == "sockets_bound" else "connections"
    yield from expect(fig, **{requests: 256, f"{requests}_received": 256})
    yield from [] if verdict == "holds" else [verdict]


def one_gets_all(fig, verdict):
    for version in ("v4", "v6"):
        got = [fig.get(f"socket_{i}_got_{version}") for i in range(1, 5)]
        if None in got and version == "v6":
            continue
        if sorted(got) != [0, 0, 0, 1024] or fig[f"datagrams_{version}"] != 1024:
            yield f"{version}: {got}"
    yield from [] if verdict == "holds" else [verdict]


def hijack(fig, verdict):
    for name in ("udp", "udp6") if "udp6_sent" in fig else ("udp",):
        yield from expect(fig, **{f"{name}_second_user_binds": True, f"{name}_sent": 64, f"{name}_stolen": 64, f"{name}_first_user_got": 0})
    yield from expect(fig, tcp_bound_second_user_binds=True, tcp_bound_sent=64, tcp_bound_stolen=64,
                      tcp_listening_second_user_binds=False, tcp_listening_stolen=0)
    yield from [] if verdict == "partly" else [verdict]


def prevents(fig, verdict):
    yield from expect(fig, same_user_binds=True, udp_second_user_binds=False, tcp_bound_second_user_binds=False,
                      tcp_listening_second_user_binds=False)
    if "udp6_second_user_binds" in fig:
        yield from expect(fig, udp6_second_user_binds=False)
    keys = [name.removesuffix("_stolen") for name in fig if name.endswith("_both_options_stolen")]
    for key in keys:  # all that was sent was got by one of the two
        both = fig[f"{key}_stolen"] + fig[f"{key}_first_user_got"]
        if fig[f"{key}_sent"] != both or both != (64 if fig[f"{key}_second_user_binds"] else 0):
            yield f"{key}: {fig[f'{key}_sent']} sent, {both} received"
    aside = any(fig[f"{key}_stolen"] for key in keys)
    yield from [] if verdict == ("partly" if aside else "holds") else [verdict]


def immediate(fig, verdict):
    yield from expect(fig, at_once_if_neither_sets_it=False, at_once_if_only_first_sets_it=False, at_once_if_only_second_sets_it=False,
                      at_once_if_both_set_it=True)
    yield from [] if verdict == "partly" else [verdict]


def privileged(fig, verdict):
    yield from expect(fig, unprivileged_port_start=1024, below_limit_without_capability=False, at_limit_without_capability=True,
                      below_limit_with_cap_net_bind_service=True)
    if fig["lowered_unprivileged_port_start"] is not None:
        yield from expect(fig, below_lowered_limit_without_capability=False, at_lowered_limit_without_capability=True)
    machine = fig["unprivileged_port_start_of_machine"]
    yield from [] if verdict == ("holds" if machine in (1024, None) else "partly") else [verdict]


def htons(fig, verdict):
    swapped = int.from_bytes((81).to_bytes(2, "big"), "little")
    listens = swapped if sys.byteorder == "little" else 81
    yield from expect(fig, port_asked=81, port_listens=listens, client_reaches_port_listens=True, client_reaches_port_asked=listens == 81)
    if sys.byteorder == "little":
        yield from expect(fig, other_port_becomes=80, other_port_without_capability=False)
    yield from [] if verdict == ("holds" if listens != 81 else "fails") else [verdict]


def two_minutes(fig, verdict):
    # TCP_TIMEWAIT_LEN is a constant of the kernel: it is never less.
    for name in ("seconds_until_free", "seconds_if_only_first_sets_reuseaddr", "seconds_if_only_second_sets_reuseaddr"):
        if not fig[name] or fig[name] < 59:
            yield f"{name} is {fig[name]}"
    for name in ("seconds_if_both_set_reuseaddr", "seconds_without_connection"):
        if fig[name] is None or fig[name] >= 59:
            yield f"{name} is {fig[name]}"
    if not (fig["seconds_still_refused"] or 0) < (fig["seconds_until_free"] or 0):
        yield f"refused at {fig['seconds_still_refused']}, free at {fig['seconds_until_free']}"
    holds = fig["seconds_until_free"] is not None and 100 <= fig["seconds_until_free"] <= 140
    yield from [] if verdict == ("holds" if holds else "fails") else [verdict]


def even(fig, verdict):
    for name in [name for name in fig if name.startswith("cv_fair_hash_")]:
        if fig[name.replace("_fair_hash", "")] > 6 * fig[name]:
            yield f"{name}: {fig[name.replace('_fair_hash', '')]}"
    yield from [] if verdict == "holds" and len(fig) == 12 else [verdict]


def unfair(fig, verdict):
    cvs = {name: value for name, value in fig.items() if name.startswith("cv_") and "fair_hash" not in name}
    if len(cvs) != 6 or cvs["cv_exclusive_at_2"] < 0.5:
        yield str(cvs)
    # Far from the threshold of 0.2 the verdict is plain.
    if max(cvs.values()) > 0.3 and verdict not in ("holds", "partly"):
        yield verdict
    if min(cvs.values()) < 0.1 and verdict not in ("fails", "partly"):
        yield verdict


def bottleneck(fig, verdict):
    for load in (2, 64):
        for design in ("single", "reuseport"):
            if not fig[f"per_second_{design}_at_{load}"] > 0:
                yield f"rate of {design} at {load}"
            wait = fig[f"wait_mean_us_{design}_at_{load}"]
            if wait is not None and not wait > 0:
                yield f"wait of {design} at {load}: {wait}"
    if verdict == "holds" and not fig["per_second_single_at_64"] < fig["per_second_reuseport_at_64"]:
        yield f"{verdict} without fewer connections at 64"
    if fig["cpus"] < 1 or verdict == "skipped":
        yield f"{fig['cpus']} CPUs, {verdict}"


FACTS = {
    "tcp-reuseport-binds": binds,
    "udp-reuseport-binds": binds,
    "single-listener-bottleneck": bottleneck,
    "shared-accept-unfair": unfair,
    "reuseport-even-threads": even,
    "reuseport-even-processes": even,
    "udp-reuseaddr-one-gets-all": one_gets_all,
    "reuseaddr-hijack": hijack,
    "reuseport-prevents-hijack": prevents,
    "reuseaddr-immediate": immediate,
    "privileged-port": privileged,
    "htons": htons,
    "port-free-after-two-minutes": two_minutes,
}


def problems(claim, skipped):
    """What is wrong with one claim."""
    name, verdict = claim["name"], claim["verdict"]
    if name not in FACTS:
        return ["a claim without facts in check_claims.py"]
    if (verdict == "skipped") != (name in skipped):
        return [f"{verdict}: {claim['why']}"]
    try:
        return [] if verdict == "skipped" else list(FACTS[name](claim["figures"], verdict))
    except (KeyError, TypeError, ValueError, IndexError) as e:  # a figure that is missing, or null where there has to be one
        return [f"{type(e).__name__} {e}: figures {claim['figures']}"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--label", default="")
    parser.add_argument("--skipped", default="")
    parser.add_argument("--names", default=",".join(FACTS))
    parser.add_argument("file")
    args = parser.parse_args()
    lines = pathlib.Path(args.file).read_text().splitlines()
    wrong = {}
    if len(lines) != 1:
        wrong["documents"] = [f"{len(lines)} lines"]
    else:
        doc = json.loads(lines[0])
        found = schema_check("sockfair-claims-1")(lines[0])
        wrong["the schema"] = found
        if not found and sorted(c["name"] for c in doc["claims"]) != sorted(args.names.split(",")):
            wrong["names"] = [" ".join(c["name"] for c in doc["claims"])]
        wrong.update({c["name"]: problems(c, args.skipped.split(",")) for c in ([] if found else doc["claims"])})
    for name, texts in wrong.items():
        if args.tap:
            print(f"{'not ok' if texts else 'ok'} - {args.label}{name}")
        for text in texts:
            print(f"# {args.label}{name}: {text}")
    return any(wrong.values())


if __name__ == "__main__":
    sys.exit(main())
