"""What servers cost: processor time and memory of their processes, children included, from /proc."""

import os
import re
import statistics
import subprocess
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).resolve().parent


def family(root):
    """A process and everything that descends from it."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = stat_fields(entry.name)
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = set(), [root]
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting.extend(children.get(process, []))
    return found


def stat_fields(process):
    """The fields of /proc/PID/stat behind the program's name, which may itself hold blanks."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def processor_seconds(root):
    spent = [stat_fields(process) for process in family(root)]
    return sum(int(fields[11]) + int(fields[12]) for fields in spent if fields) / TICKS_PER_SECOND


def resident_megabytes(root):
    total = 0
    for process in family(root):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        total += int((re.search(r"VmRSS:\s+(\d+)", status) or [0, 0])[1])
    return total / 1024


def drive(address, seconds, connections, authorization=None):
    """Runs wrk against a server, and gives what it says: requests, p50, p99, failures."""
    environment = dict(os.environ)
    environment.pop("BENCH_AUTHORIZATION", None)
    if authorization:
        environment["BENCH_AUTHORIZATION"] = authorization
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(HERE / "api_mix.lua")]
    run = subprocess.run([*command, f"http://{address}"], env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"wrk failed against {address}: {run.stderr or run.stdout}")
    latency = dict(re.findall(r"^\s+(50|99)%\s+(\S+)", run.stdout, re.M))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", run.stdout)
    broken = re.search(r"Socket errors: (.*)", run.stdout)
    return {
        "requests": int(re.search(r"(\d+) requests in", run.stdout)[1]),
        "seconds": seconds,
        "p50": latency.get("50", "-"),
        "p99": latency.get("99", "-"),
        "refused": int(refused[1]) if refused else 0,
        "broken": broken[1] if broken else "",
    }


def measure(server, seconds, connections, authorization=None):
    """One round against one server: what `drive` says, and the processor time of each request."""
    before = processor_seconds(server.process)
    seen = drive(server.address, seconds, connections, authorization)
    spent = processor_seconds(server.process) - before
    seen["microseconds"] = spent / max(seen["requests"], 1) * 1e6
    seen["megabytes"] = resident_megabytes(server.process)
    return seen


def median(rounds, key):
    return statistics.median(seen[key] for seen in rounds)
