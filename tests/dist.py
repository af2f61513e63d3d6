#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""dist.py [--scrape FILE] [CASE...]: what is installed for a fleet (user/dist): Prometheus' rules, Grafana's board, systemd's units, examples of containers. TAP."""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

import yaml

import cases
import scrapes
from prometheus import BOARD, DIST, RULES, Prometheus, example
from watching import SOCKFAIR, between, equal

PORT = 8300
# What Grafana puts in place of its own variables, for a Prometheus that scrapes each second.
VARIABLES = {"$instance": ".*", "$port": ".*", "$__rate_interval": "10s"}
SECURITY = 3.5  # systemd-analyze's score, 0 is best: what it counts against a program that loads BPF programs and looks at all processes
scrape = None  # --scrape


def run(*command, **options):
    """What it prints; its words where it fails."""
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    if made.returncode:
        raise AssertionError(f"{' '.join(command)}: {made.stdout}{made.stderr}")
    return made.stdout


def read(*place):
    with open(os.path.join(DIST, *place)) as f:
        return f.read()


def page():
    if not scrape:
        return scrapes.Machine(4, 4).page()
    with open(scrape) as f:
        return f.read()


def metrics(text):
    return set(re.findall(r"^([a-z_]+)(?=[{ ])", text, re.M))


def rules():
    return [rule for group in yaml.safe_load(read("prometheus", "sockfair.rules.yml"))["groups"] for rule in group["rules"]]


def panels():
    with open(BOARD) as f:
        return json.load(f)["panels"]


def board_expressions():
    """With Grafana's variables put in."""
    with open(BOARD) as f:
        board = json.load(f)
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    found += [annotation["expr"] for annotation in board["annotations"]["list"] if "expr" in annotation]
    found += [variable["definition"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    for name, value in VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    # label_values() is Grafana's own.
    return [re.sub(r"^label_values\((.*), \w+\)$", r"\1", expression) for expression in found]


def names():
    """Each metric that rules and board use is one that is exported, or recorded"""
    exported, recorded = metrics(page()), {rule["record"] for rule in rules() if "record" in rule}
    used = set()
    for expression in [rule["expr"] for rule in rules()] + board_expressions():
        expression = re.sub(r'"[^"]*"', "", expression)  # values of labels
        used |= set(re.findall(r"\b(?:\w+:)*sockfair_\w+(?::\w+)*", expression))
    between("names used", 30, len(used), 100)
    equal("not exported, nor recorded", used - exported - recorded, set())


def made_up():
    """The pages that other tests make up have the metrics and types of the exporter's own table, and no others"""
    listed = subprocess.run([SOCKFAIR, "export", "--list-metrics"], capture_output=True, text=True, timeout=60)
    if listed.returncode:
        raise cases.Skip("this sockfair has no command `export`")
    # The text format has no type for what only has labels.
    own = {(name, {"info": "gauge"}.get(kind, kind)) for name, kind in (line.split("\t")[:2] for line in listed.stdout.splitlines())}
    made = set(re.findall(r"^# TYPE (\S+) (\S+)$", scrapes.Machine(4, 4).page(), re.M))
    equal("missing, and too many", (own - made, made - own), (set(), set()))


def values():
    """Each verdict, level and finding that rules and board ask for is one that sockfair has"""
    def source(pattern, *files):
        return set().union(*(re.findall(pattern, open(place).read(), re.M) for name in files for place in glob.glob(os.path.join(DIST, "..", name))))
    drops = re.findall(r'"([a-z-]+)"', *source(r"drop_reasons\[\] = \{(.*)\}", "model/export_families.c"))
    known = {"verdict": source(r'\[VERDICT_\w+\] = "([a-z-]+)"', "model/fairness.c"), "design": source(r'\[DESIGN_\w+\] = "([a-z-]+)"', "model/design.c"),
             "code": source(r'^\t\{ "([a-z-]+)", FINDING_', "model/findings*.c"),
             "level": {"problem", "note", "good"}, "reason": set(drops) | set(lost_reasons())}
    asked = set(re.findall(r'\b(verdict|design|code|level|reason)(?:=|!=|=~)"([^"]+)"', " ".join(board_expressions() + [rule["expr"] for rule in rules()])))
    asked = {(label, word) for label, value in asked for word in value.split("|")}
    between("values", 8, len(asked), 40)
    equal("unknown", {(label, word) for label, word in asked if word not in known[label]}, set())


def lost_reasons():
    """Of each reason of the exporter's own tables: whether arrivals or accepts are missing after it."""
    with open(os.path.join(DIST, "..", "collect", "observer_lost.c")) as f:
        source = f.read()
    touched = re.findall(r'\[COUNT_LOST_\w+\] = \{ "(\w+)",.*?(LOST_\w+(?: \| LOST_\w+)*) \}', source, re.S)
    found = {name: re.search(rf"found_reasons\[{name}\],.*?(true|false), (?:true|false)\);", source, re.S).group(1) == "false"  # counted beside them
             for name in re.findall(r'^\t\[(\w+)\] = "\w+"', source, re.M)}
    reasons = {reason: bool(re.search(r"LOST_(ARRIVED|ACCEPTED|TAKEN|ANY)\b", bits)) for reason, bits in touched}
    return reasons | {reason: found[name] for name, reason in re.findall(r'^\t\[(\w+)\] = "(\w+)"', source, re.M)}


def lost():
    """What could not be counted is of the reasons after which arrivals or accepts are missing, and of no others"""
    reasons = lost_reasons()
    between("reasons", 15, len(reasons), 30)
    asked = [set(found.split("|")) for rule in rules() for found in re.findall(r'sockfair_lost_total\{reason=~"([^"]+)"', rule["expr"])]
    # What accept() dropped as it failed is a bound, and of connections that no worker got.
    equal("reasons asked for", asked, [{reason for reason, missing in reasons.items() if missing} - {"taken_dropped"}])


def bounds():
    """Each wait that an alert is about is a bound of the histogram, where a quantile is exact"""
    asked = [re.search(r"p99_5m > ([0-9.]+)", rule["expr"]) for rule in rules() if "alert" in rule]
    asked = {found.group(1) for found in asked if found}
    equal("alerts about waits", len(asked), 1)
    equal("no bounds", asked - set(re.findall(r'sockfair_accept_wait_seconds_bucket\{[^}]*le="([^"]+)"', page())), set())


def alerts():
    """Each alert fires for its cause, resolves, and not for what is near it (promtool test rules)"""
    run("promtool", "check", "rules", RULES)
    run("promtool", "test", "rules", "sockfair.rules.test.yml", cwd=os.path.join(DIST, "prometheus"))
    tested = {test["alertname"] for group in yaml.safe_load(read("prometheus", "sockfair.rules.test.yml"))["tests"]
              for test in group.get("alert_rule_test", ()) if test["exp_alerts"]}
    equal("alerts without a test", {rule["alert"] for rule in rules() if "alert" in rule} - tested, set())


def runbooks():
    """Each alert has a severity, a summary and a command to run, with options that sockfair has"""
    helped = {name: run(SOCKFAIR, name, "--help") for name in ("watch", "list", "steer", "doctor")}
    for rule in rules():
        if "alert" not in rule:
            continue
        equal(rule["alert"] + ": severity", rule["labels"]["severity"] in ("info", "warning", "critical"), True)
        equal(rule["alert"] + ": annotations", set(rule["annotations"]), {"summary", "runbook"})
        book = re.sub(r"\{\{.*?\}\}", "1", rule["annotations"]["runbook"])
        for command, options in re.findall(r"sockfair (watch|list|steer|doctor)((?: 1?-{1,2}\S+| 1)*)", book):
            for option in re.findall(r"(?<!\w)(--?[A-Za-z-]+)", options):
                equal(f"{rule['alert']}: sockfair {command} knows {option}", bool(re.search(rf"(?<![\w-]){option}\b", helped[command])), True)


def board():
    """The board is as Grafana's classic model has it, and its panels do not overlap"""
    with open(BOARD) as f:
        made = json.load(f)
    equal("version of the schema", made["schemaVersion"] in range(36, 43), True)
    ids = [panel["id"] for panel in made["panels"]]
    equal("numbers", len(ids), len(set(ids)))
    taken = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        equal(f"{panel['title']}: outside, or over another", [cell for cell in cells if cell in taken or cell[0] > 23], [])
        taken |= cells
        if panel["type"] == "row":
            continue
        equal(panel["title"] + ": kind", panel["type"] in ("heatmap", "stat", "state-timeline", "table", "timeseries"), True)
        equal(panel["title"] + ": source", {str(part["datasource"]) for part in [panel] + panel["targets"]}, {str({"type": "prometheus", "uid": "${datasource}"})})
        references = [target["refId"] for target in panel["targets"]]
        equal(panel["title"] + ": references", len(references), len(set(references)))
    given = {variable["name"] for variable in made["templating"]["list"]}
    equal("variables", given, {"datasource", "instance", "port"})
    asked = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(made)))
    equal("variables that are not given", asked - given, set())


def shown():
    """Prometheus takes each expression of rules and board, and each shows something where there is something to show"""
    expressions = board_expressions() + [rule["expr"] for rule in rules() if "record" in rule]
    between("expressions", 40, len(expressions), 200)
    # And each selector by itself: of several that are joined by `or` one that finds nothing would not be missed.
    every = board_expressions() + [rule["expr"] for rule in rules()]
    selectors = sorted({found for expression in every for found in re.findall(r"\bsockfair_\w+\{[^}]*\}", expression)})
    between("selectors", 30, len(selectors), 200)
    server = scrapes.Server(PORT, [scrapes.Machine(8, 4) for _ in range(2)])
    for machine in server.machines:  # one that leaves out, and has workers that are stopped
        machine.series = [(before, kind, 1 if before.startswith(("sockfair_worker_stopped{", "sockfair_series_left_out")) else amount)
                          for before, kind, amount in machine.series]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as quick:
        quick.write(read("prometheus", "sockfair.rules.yml").replace("[5m]", "[10s]").replace("[15m]", "[10s]").replace("for: 15m", "for: 1s"))
        quick.flush()
        prometheus = Prometheus({f"host{n}": f"http://127.0.0.1:{PORT}/{n}" for n in range(2)}, 1, quick.name)
        try:
            prometheus.wait("an alert", lambda: prometheus.firing("SockfairSeriesLeftOut"), 60)
            for expression in expressions + selectors:
                prometheus.wait("nothing of " + expression, lambda asked=expression: prometheus.query(asked), 20)
        finally:
            prometheus.end()


def config():
    """Prometheus takes the configuration of sockfair-fleet(7)"""
    with tempfile.TemporaryDirectory() as folder:
        text = example("WHAT IS SCRAPED").replace("/usr/local/share/sockfair/prometheus/sockfair.rules.yml", RULES)
        text = certificates(folder, text, "/etc/prometheus/")
        with open(os.path.join(folder, "prometheus.yml"), "w") as f:
            f.write(text)
        run("promtool", "check", "config", f.name)


def certificates(folder, text, place):
    """Makes an authority, and a certificate and key for each other name that the text has there. The text, with the folder in that place."""
    def openssl(*command):
        run("openssl", *command, cwd=folder)
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
    openssl(*new, "-subj", "/CN=fleet", "-keyout", "fleet-ca.key", "-out", "fleet-ca.pem")
    names = set(re.findall(rf"{place}([a-z]+)\.pem", text)) | {"prometheus"}
    for name in names:
        openssl(*new, "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:false", "-CA", "fleet-ca.pem",
                "-CAkey", "fleet-ca.key", "-keyout", name + ".key", "-out", name + ".pem")
    return text.replace(place, folder + "/")


def proxy():
    """nginx with the lines of sockfair-fleet(7) hands a page to who has a certificate, to nobody else, and hands on nothing but that"""
    server = scrapes.Server(7435, [scrapes.Machine(1, 1)])
    with tempfile.TemporaryDirectory() as folder:
        text = certificates(folder, example("TLS"), "/etc/ssl/sockfair/")
        paths = "".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(os.path.join(folder, "conf"), "w") as f:
            f.write(f"daemon off; user root; pid {folder}/pid; events {{}} http {{ access_log off; {paths} {text} }}")
        nginx = subprocess.Popen(["nginx", "-p", folder, "-e", "stderr", "-c", f.name], stderr=subprocess.PIPE, text=True)
        try:
            def asked(path, *options):
                return subprocess.run(["curl", "-sS", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "-o", folder + "/page", "-w", "%{http_code}", "--cacert",
                                       folder + "/fleet-ca.pem", *options, "https://127.0.0.1:7436" + path], capture_output=True, text=True, timeout=60).stdout
            known = ("--cert", folder + "/prometheus.pem", "--key", folder + "/prometheus.key")
            equal("with a certificate", asked("/metrics", *known), "200")
            with open(folder + "/page") as f:
                equal("page", "sockfair_build_info" in f.read(), True)
            equal("without one", asked("/metrics"), "400")
            equal("another path", asked("/0", *known), "404")
        finally:
            nginx.terminate()
            nginx.communicate(timeout=30)
    server.shutdown()


def installed(folder):
    """`make install` below the folder, with PREFIX=/usr."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    run("make", "-o", "sockfair", "install", f"DESTDIR={folder}", "PREFIX=/usr", cwd=os.path.join(DIST, "..", ".."), env=environment)
    return os.path.join(folder, "usr/lib/systemd/system")


def units():
    """systemd takes the units as they are installed, and has little to say against them"""
    with tempfile.TemporaryDirectory() as folder:
        place = installed(folder)
        files = [os.path.join(place, "sockfair-export" + kind) for kind in (".service", ".socket")]
        text = open(files[0]).read()
        equal("command", re.findall(r"^ExecStart=(\S+)", text, re.M), ["/usr/bin/sockfair"])
        # Of the unit where its program is: else it would ask for this machine's.
        for file in files:
            text = open(file).read().replace("ExecStart=/usr", f"ExecStart={folder}/usr")
            with open(file, "w") as f:
                f.write(text)
        said = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files], capture_output=True, text=True, timeout=120)
        # Of targets that this machine has not, systemd speaks too.
        about = [line for line in (said.stdout + said.stderr).splitlines() if "sockfair" in line]
        equal("verify", (said.returncode, about), (0, []))
        judged = run("systemd-analyze", "security", "--offline=true", f"--threshold={round(SECURITY * 10)}", "--no-pager", files[0])
        score = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged).group(1))
        between("score", 0, score, SECURITY)


def setting(name):
    """The words of all lines of the service that set it."""
    return [word for line in re.findall(rf"^{name}=(.*)$", read("systemd", "sockfair-export.service"), re.M) for word in line.split()]


def allowed(name):
    """The system calls of a set of systemd's, or the one call."""
    if not name.startswith("@"):
        return {name}
    words = [line.split()[0] for line in run("systemd-analyze", "syscall-filter", name).splitlines()[1:] if line.startswith(" ") and line.split()[0] != "#"]
    return set().union(*map(allowed, words))


# What the service takes away of /proc and /sys.
SERVICE = """
mount --make-rprivate / && mount --bind /dev/null /proc/kallsyms || exit 99
for place in /sys /sys/kernel/tracing /sys/fs/bpf /sys/fs/cgroup /proc/sys; do
    mount --rbind "$place" "$place" && mount -o remount,bind,ro "$place" || exit 99
done
exec "$@"
"""


def service():
    """With the capabilities and the view of the service sockfair works, and asks the kernel for nothing that the service's filters refuse"""
    bound = ",".join(["-all"] + ["+" + name.removeprefix("CAP_").lower() for name in setting("CapabilityBoundingSet")])
    with tempfile.TemporaryDirectory() as folder:
        exports = subprocess.run([SOCKFAIR, "export", "--help"], capture_output=True, timeout=60).returncode == 0
        command = ["timeout", "-s", "INT", "10", SOCKFAIR, "export", "--window", "2", "--listen", "127.0.0.1:7435"] if exports else [SOCKFAIR, "watch", "-d", "3", "--json"]
        made = subprocess.run(["unshare", "--mount", "sh", "-c", SERVICE, "sh", "strace", "-f", "-qq", "-o", folder + "/calls", "setpriv", "--bounding-set", bound,
                               "--inh-caps=-all", "--no-new-privs", *command], capture_output=True, text=True, timeout=120)
        equal("status, " + made.stderr, made.returncode in ((0, 124) if exports else (0,)), True)
        with open(folder + "/calls") as f:
            # What setpriv itself does comes before the last exec of a program that is found.
            text = re.split(r"^\d+ +execve\(.*= 0$", f.read(), flags=re.M)[-1]
    calls = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)", text, re.M))
    between("different calls", 20, len(calls), 300)
    equal("refused calls", calls - set().union(*map(allowed, setting("SystemCallFilter"))), set())
    equal("refused families", set(re.findall(r"\bsocket\((AF_\w+)", text)) - set(setting("RestrictAddressFamilies")), set())
    equal("namespaces", set(re.findall(r"\bsetns\(\d+, (\w+)", text)) - {"CLONE_NEWNET"}, set())
    equal("memory that can be written and run", re.findall(r"^.*(?:PROT_WRITE\|PROT_EXEC|mprotect\(.*PROT_EXEC).*$", text, re.M), [])


def rights():
    """Unit, container and DaemonSet give the same capabilities; what is named is mounted"""
    unit = set(re.search(r"^CapabilityBoundingSet=(.*)", read("systemd", "sockfair-export.service"), re.M).group(1).split())
    spec = yaml.safe_load(read("kubernetes", "daemonset.yaml"))["spec"]["template"]["spec"]
    made, = spec["containers"]
    context = made["securityContext"]["capabilities"]
    equal("dropped", context["drop"], ["ALL"])
    equal("DaemonSet", {"CAP_" + name for name in context["add"]}, unit)
    recipe = read("container", "Dockerfile")
    equal("container", {"CAP_" + name for name in re.findall(r"--cap-add (\w+)", recipe)} - {"CAP_ALL"}, unit)
    equal("mounts", {mount["name"] for mount in made["volumeMounts"]}, {volume["name"] for volume in spec["volumes"]})
    equal("host's pids", spec["hostPID"], True)


# What a runtime makes of the recipes: a root of its own with the mounts that are named, and the capabilities that are named. $1: the root;
# $2: of what is mounted, what is not; the rest: the command.
CONTAINER = """
root=$1 without=$2
shift 2
mount --make-rprivate / && mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount -t sysfs -o ro sysfs "$root/sys" &&
    mount --rbind -o ro /sys/fs/cgroup "$root/sys/fs/cgroup" && mount --rbind /dev "$root/dev" || exit 99
[ "$without" = tracing ] || mount --bind -o ro /sys/kernel/tracing "$root/sys/kernel/tracing" || exit 99
[ "$without" != btf ] || mount -t tmpfs none "$root/sys/kernel/btf" || exit 99
exec chroot "$root" "$@"
"""


def root_made_by_hand(folder):
    """A root with sockfair and setpriv, and what they are linked with."""
    for name in ("dev", "proc", "sys", "tmp", "usr/bin"):
        os.makedirs(os.path.join(folder, name))
    for program in (SOCKFAIR, shutil.which("setpriv")):
        shutil.copy(program, os.path.join(folder, "usr/bin"))
        for library in re.findall(r"(/\S+\.so[.0-9]*)", run("ldd", program)):
            os.makedirs(folder + os.path.dirname(library), exist_ok=True)
            shutil.copy(library, folder + library)


def container():
    """In a root made by hand, with the capabilities and mounts of the recipes and no others, sockfair works; what is missing is named"""
    spec = yaml.safe_load(read("kubernetes", "daemonset.yaml"))["spec"]["template"]["spec"]["containers"][0]
    given = [name.lower() for name in spec["securityContext"]["capabilities"]["add"]]
    with tempfile.TemporaryDirectory() as folder:
        root_made_by_hand(folder)

        def inside(*command, lacking=(), without="", namespaces=("--mount",)):
            bound = ",".join(["-all"] + ["+" + name for name in given if name not in lacking])
            return subprocess.run(["unshare", *namespaces, "sh", "-c", CONTAINER, "sh", folder, without, "setpriv", "--bounding-set", bound, "--inh-caps=-all",
                                   "--no-new-privs", "/usr/bin/sockfair", *command], capture_output=True, text=True, timeout=120)

        doctor = inside("doctor", "--hooks")
        equal("doctor: " + doctor.stderr, doctor.returncode, 0)
        equal("rights", re.findall(r"^rights +(.*)", doctor.stdout, re.M), ["enough"])
        watch = inside("watch", "-d", "1", "-P", "9")
        equal("watch: " + watch.stderr, watch.returncode, 0)
        for words, options in {
                "CAP_SYS_ADMIN missing: no look into other network namespaces": {"lacking": ["sys_admin"]},
                "CAP_SYS_PTRACE missing: no look at other users' processes": {"lacking": ["sys_ptrace"]},
                "CAP_BPF and CAP_PERFMON missing": {"lacking": ["sys_admin", "bpf", "perfmon"]},
                "no tracepoints: tracefs is not mounted, and CAP_SYS_ADMIN is missing": {"lacking": ["sys_admin"], "without": "tracing"},
                "/sys/kernel/btf/vmlinux": {"without": "btf"},
                "docker: --pid=host": {"namespaces": ["--mount", "--pid", "--fork"]}}.items():
            said = inside("doctor", "--hooks", **options)
            if words not in re.sub(r"\s+", " ", said.stdout + said.stderr):
                raise AssertionError(f"'{words}' is not in: {said.stdout}{said.stderr}")


def packages():
    """The container's recipe installs the libraries that the program is linked with, and no other"""
    wanted = set()
    direct = re.findall(r"NEEDED +(\S+)", run("objdump", "-p", SOCKFAIR))  # theirs come with them
    for place in re.findall(rf"^\s*(?:{'|'.join(map(re.escape, direct))}) => (/\S+)", run("ldd", SOCKFAIR), re.M):
        # /lib may be a link to /usr/lib, and dpkg knows them by either.
        real = os.path.realpath(place)
        owners = subprocess.run(["dpkg-query", "-S", real, real.removeprefix("/usr")], capture_output=True, text=True).stdout
        wanted.add(owners.split(":")[0])
    given = re.search(r"^FROM debian:12-slim\n.*?install -y --no-install-recommends \\\n(.*?) &&", read("container", "Dockerfile"), re.S | re.M).group(1)
    # The base image has these.
    equal("packages", set(given.replace("\\", "").split()), wanted - {"libc6", "zlib1g", "libtinfo6", "libzstd1", "libgcc-s1", "libstdc++6", ""})


def main():
    global scrape
    parser = cases.parser(__doc__)
    parser.add_argument("--scrape", default=os.environ.get("SOCKFAIR_TEST_SCRAPE"), help="a page of a real exporter, in place of one that is made up")
    arguments = parser.parse_args()
    scrape = arguments.scrape
    cases.run_all([names, made_up, values, lost, bounds, alerts, runbooks, board, shown, config, proxy, units, service, rights, container, packages], arguments)


if __name__ == "__main__":
    main()
