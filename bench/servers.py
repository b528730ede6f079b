"""Starts the servers that are measured, each as a child, and ends them again."""

import atexit
import dataclasses
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RUN = HERE / "run"

NGINX = ("nginx", "-p", "RUN", "-c")
HAPROXY = ("haproxy", "-db", "-f")

# Name: the command, its configuration, where it listens, whether it asks for a token.
KNOWN = {
    "backend": (NGINX, HERE / "peers/backend.nginx.conf", "127.0.0.1:9000", False),
    "nginx": (NGINX, HERE / "peers/nginx.conf", "127.0.0.1:8103", False),
    "haproxy": (HAPROXY, HERE / "peers/haproxy.cfg", "127.0.0.1:8104", False),
    "haproxy-jwt": (HAPROXY, HERE / "peers/haproxy-jwt.cfg", "127.0.0.1:8107", True),
    "portcullis-plain": (None, HERE / "plain.yaml", "127.0.0.1:8201", False),
    "portcullis-auth": (None, HERE / "auth.yaml", "127.0.0.1:8202", True),
    "portcullis-crs": (None, HERE / "crs.yaml", "127.0.0.1:8203", False),
    "portcullis-builtin": (None, HERE / "builtin.yaml", "127.0.0.1:8204", False),
}
PROGRAMS = ["nginx", "haproxy", "wrk", "openssl"]


@dataclasses.dataclass
class Server:
    name: str
    address: str
    process: int
    asks_for_token: bool


def add_arguments(parser, names):
    """The options that every benchmark has."""
    parser.add_argument("--binary", type=Path, help="a built portcullis; without it one is built for release")
    parser.add_argument("--servers", default=",".join(names), help="a selection, separated by commas; default: %(default)s")


def start(arguments):
    """Starts the service and the chosen servers; all of them end with this program."""
    names = arguments.servers.split(",")
    for name in names:
        if name not in KNOWN or name == "backend":
            raise SystemExit(f"no server {name!r}; there are {', '.join(list(KNOWN)[1:])}")
    need_programs()
    raise_open_files()
    RUN.mkdir(exist_ok=True)
    binary = None
    if any(name.startswith("portcullis") for name in names):
        binary = arguments.binary or build("portcullis", "portcullis")
    launch("backend", binary)
    return [launch(name, binary) for name in names]


def token():
    run = subprocess.run([HERE / "token"], check=True, capture_output=True, text=True)
    return f"Bearer {run.stdout.strip()}"


def build(package, binary):
    command = ["cargo", "build", "--release", "--locked", "--package", f"{package}", "--bin", binary]
    subprocess.run(command, cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / binary


def need_programs():
    missing = [program for program in PROGRAMS if not shutil.which(program, path=search_path())]
    if missing:
        names = " ".join(missing)
        raise SystemExit(
            f"missing: {names}. On Debian: apt-get install {names}\n"
            "(nginx starts as a service when it is installed; stop it with systemctl disable --now nginx)"
        )


def search_path():
    # Debian puts servers into sbin, which is not on everybody's path.
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def raise_open_files():
    """Thousands of connections need as many descriptors; children inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def launch(name, binary):
    command, configuration, address, asks_for_token = KNOWN[name]
    if is_open(address):
        raise SystemExit(f"{name} cannot start: something listens on {address} already")
    if command is None:
        command = [str(binary), "run", str(configuration)]
    else:
        text = configuration.read_text().replace("RUN", str(RUN)).replace("BENCH", str(HERE))
        filled = RUN / configuration.name
        filled.write_text(text)
        command = [str(RUN) if word == "RUN" else word for word in command] + [str(filled)]
    log = (RUN / f"{name}.log").open("w")
    environment = {**os.environ, "PATH": search_path()}
    child = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    atexit.register(end, child)
    deadline = time.monotonic() + 20
    while not is_open(address):
        if child.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{name} did not start:\n{(RUN / f'{name}.log').read_text()}")
        time.sleep(0.05)
    return Server(name, address, child.pid, asks_for_token)


def is_open(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def end(child):
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
