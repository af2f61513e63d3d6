# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Prometheus in this network namespace, for dist.py, fleet.py and bench/fleet.py."""
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ADDRESS = "127.0.0.1:9390"
DIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "user", "dist")
RULES = os.path.join(DIST, "prometheus", "sockfair.rules.yml")
PAGE = os.path.join(DIST, "..", "man", "sockfair-fleet.7")
BOARD = os.path.join(DIST, "grafana", "sockfair.json")


def example(heading):
    """The first example below that heading of sockfair-fleet(7)."""
    with open(PAGE) as f:
        return re.search(rf"^\.S[hs] {re.escape(heading)}$.*?^\.Bd -literal.*?$\n(.*?)^\.Ed$", f.read(), re.S | re.M).group(1)


def get(path, **query):
    with urllib.request.urlopen(f"http://{ADDRESS}{path}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
        return answer.read().decode()


class Prometheus:
    """Scrapes targets, {instance: URL}, each `interval` seconds, and evaluates the rules of a file as often."""

    def __init__(self, targets, interval, rules=None):
        self.folder = tempfile.TemporaryDirectory(prefix="prometheus.")
        jobs = [{"targets": [urllib.parse.urlsplit(url).netloc], "labels": {"instance": name, "__metrics_path__": urllib.parse.urlsplit(url).path or "/metrics"}}
                for name, url in targets.items()]
        # JSON is YAML, too.
        config = {"global": {"scrape_interval": f"{interval}s", "scrape_timeout": f"{interval}s", "evaluation_interval": f"{interval}s"},
                  "rule_files": [rules] if rules else [], "scrape_configs": [{"job_name": "sockfair", "static_configs": jobs}]}
        place = os.path.join(self.folder.name, "prometheus.yml")
        with open(place, "w") as f:
            json.dump(config, f)
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        self.child = subprocess.Popen(["prometheus", f"--config.file={place}", f"--storage.tsdb.path={self.folder.name}/data", f"--web.listen-address={ADDRESS}"],
                                      stdout=self.log, stderr=self.log)
        try:
            self.wait("Prometheus is ready", self.ready)
        except AssertionError:
            self.end()
            raise

    def ready(self):
        if self.child.poll() is not None:
            self.log.seek(0)
            raise AssertionError("prometheus ended: " + self.log.read()[-1000:])
        try:
            return get("/-/ready")
        except (urllib.error.URLError, OSError):
            return False

    def query(self, expression):
        """[(labels, value)...] now."""
        try:
            found = json.loads(get("/api/v1/query", query=expression))["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {json.load(error)['error']}") from None
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in found["result"]]

    @staticmethod
    def own(name):
        """What it says of itself: a metric without labels."""
        return next(float(line.split()[1]) for line in get("/metrics").splitlines() if line.startswith(name + " "))

    def wait(self, what, condition, seconds=120):
        """What the condition returns, once that is something."""
        end = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {seconds} s")
            time.sleep(0.2)

    def firing(self, alert):
        """The labels of each that fires."""
        return [labels for labels, _ in self.query(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')]

    def resident(self):
        """Bytes, of which files are none."""
        with open(f"/proc/{self.child.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) * 1024

    def cpu(self):
        """Of one core, since its start."""
        with open(f"/proc/{self.child.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        with open("/proc/uptime") as f:
            ticks = os.sysconf("SC_CLK_TCK")
            return (int(fields[11]) + int(fields[12])) / ticks / (float(f.read().split()[0]) - int(fields[19]) / ticks)

    def end(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(60)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.log.close()
        self.folder.cleanup()
