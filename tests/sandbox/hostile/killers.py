"""Killing, stopping and outliving: the keeper, the host's processes, the time limit, the end of the program."""

from __future__ import annotations

from sandbox.hostile.attack import LIMITS, Attack, forger, script

from homeschool.core.execution import Program

NAME_IT = """
import ctypes
ctypes.CDLL(None).prctl(15, told["marker"][:15].encode(), 0, 0, 0)
"""
"""So that the test finds what is left of it, by its name."""

KILLERS: list[Attack] = [
    script(
        "kill everything",
        """
for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
    try:
        os.kill(-1, number)
    except OSError:
        pass
""",
    ),
    script(
        "kill the parent",
        """
for pid in (os.getppid(), 1):
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV, signal.SIGALRM, signal.SIGXCPU):
        try:
            os.kill(pid, number)
        except OSError:
            pass
""",
        "passed exit crash",
    ),
    script(
        "interrupt the parent",
        "for pid in (os.getppid(), 1):\n    os.kill(pid, signal.SIGINT)\ntime.sleep(0.2)",
        "passed exit crash error",
    ),
    script(
        "every signal to the parent",
        """
for number in range(1, 65):
    for pid in (os.getppid(), 1):
        try:
            os.kill(pid, number)
        except (OSError, ValueError):
            pass
time.sleep(0.1)
""",
        "passed exit crash error",
    ),
    script(
        "kill processes of the host",
        """
for pid in (told["victim"], told["host"], *range(3, 3000)):
    if pid not in (os.getpid(), os.getppid()):
        attempt(pid, lambda: os.kill(pid, signal.SIGKILL))
for group in (told["victim"], told["host"], *range(3, 300)):
    if group != os.getpgid(0):
        attempt(group, lambda: os.killpg(group, signal.SIGKILL))
""",
    ),
    script("kill its own group", "os.killpg(0, signal.SIGKILL)\ntime.sleep(9)", "crash"),
    script("stop itself", "os.kill(os.getpid(), signal.SIGSTOP)\nprint('GOT up again')", "timeout"),
    script("kill itself", "os.kill(os.getpid(), signal.SIGKILL)", "crash"),
    script("abort", "os.abort()", "crash"),
    script("pretend to be out of time", "os.kill(os.getpid(), signal.SIGXCPU)", "crash"),
    script("loop with every signal blocked", "signal.pthread_sigmask(0, range(1, 65))\nwhile True: pass", "timeout"),
    script(
        "loop with every signal ignored",
        """
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        while True: pass
    except BaseException:
        pass
""",
        "timeout",
    ),
    script(
        "jump over its time",
        """
signal.signal(signal.SIGXCPU, lambda *_: os.fork() and os._exit(0))
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while True: pass
""",
        "timeout passed",
    ),
    script(
        "raise its own limits",
        """
import resource
for name in ("CPU", "AS", "NPROC", "NOFILE", "FSIZE", "STACK", "CORE", "MEMLOCK", "SIGPENDING", "NICE", "RTPRIO"):
    kind = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(kind)[1]
    most = resource.RLIM_INFINITY if hard != resource.RLIM_INFINITY else -2
    if hard != resource.RLIM_INFINITY:
        attempt(name, lambda: resource.setrlimit(kind, (hard, hard + 1)))
        attempt(name, lambda: resource.setrlimit(kind, (most, most)))
""",
    ),
    script(
        "starve the keeper",
        """
import resource
for pid in (os.getppid(), 1):
    attempt("limit", lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)))
    attempt("pin", lambda: os.sched_setaffinity(pid, {0}))
    attempt("nice", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
    attempt("schedule", lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)))
attempt("user", lambda: os.setpriority(os.PRIO_USER, 0, 19))
attempt("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
""",
    ),
    script(
        "a daemon outlives it",
        NAME_IT
        + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 256)
        time.sleep(30)
    os._exit(0)
os.wait()
""",
    ),
    script(
        "a daemon by the shell outlives it",
        """
import subprocess
subprocess.Popen(["sh", "-c", "setsid nohup sleep 30 >/dev/null 2>&1 & setsid sleep 31 &"],
                 env={**os.environ, "HOSTILE": told["marker"]}).wait()
""",
    ),
    script(
        "a daemon keeps its output",
        NAME_IT
        + """
if os.fork() == 0:
    os.setsid()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.write(1, b".")
        except OSError:
            pass
        time.sleep(0.01)
    os._exit(0)
""",
    ),
    script(
        "a hydra outlives it",
        NAME_IT
        + """
def hydra():
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        os.setsid()
    os._exit(0)
for _ in range(4):
    if os.fork() == 0:
        hydra()
""",
    ),
    script(
        "many daemons outlive it",
        NAME_IT
        + """
try:
    for _ in range(100):
        if os.fork() == 0:
            os.setsid()
            time.sleep(30)
            os._exit(0)
except OSError:
    pass
""",
    ),
    script("exec away from its keeper", 'os.execv("/bin/sleep", ["sleep", "30"])', "timeout"),
    script("a thread outlives it", "threading.Thread(target=time.sleep, args=(30,)).start()", "timeout"),
    script("an exit handler outlives it", "import atexit\natexit.register(time.sleep, 30)", "timeout"),
    Attack(
        "a command outlives it",
        Program(argv=("sh", "-c", "setsid sleep 30 & setsid sleep 31 & echo TRIED"), limits=LIMITS),
        frozenset({"passed"}),
        finishes=True,
    ),
    Attack(
        "a command kills everything",
        Program(argv=("sh", "-c", "kill -9 -1; kill -9 1 $PPID; echo TRIED"), limits=LIMITS),
        frozenset({"passed", "crash"}),
    ),
    forger(
        "kill everything, then be called",
        "import os, signal\nfor pid in (-1, 0, 1):\n    os.kill(pid, signal.SIGTERM)\ndef add(a, b): return 0",
        "failed crash exit error",
    ),
    forger(
        "kill the tests when called",
        """
import os, signal
def add(a, b):
    for pid in (os.getppid(), 1, 2, -1):
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
            try:
                os.kill(pid, number)
            except OSError:
                pass
    return 0
""",
        "failed crash exit error",
    ),
    forger(
        "leave a daemon when called",
        """
import os, time
def add(a, b):
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)
        os._exit(0)
    return 0
""",
    ),
    forger(
        "interrupt oneself when called", "import os\ndef add(a, b): os.kill(os.getpid(), 2)", "error failed crash exit"
    ),
]
