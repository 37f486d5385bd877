"""The kernel's more dangerous doors: mounts, namespaces, devices, tracing, identity, the clock, calls by number."""

from __future__ import annotations

from sandbox.hostile.attack import Attack, script

DOORS: list[Attack] = [
    script(
        "mount",
        """
attempt("proc", lambda: call("mount", b"proc", b".", b"proc", 0, 0))
attempt("tmpfs", lambda: call("mount", b"none", b".", b"tmpfs", 0, 0))
attempt("bind", lambda: call("mount", b"/", b".", b"none", 4096 | 16384, 0))
attempt("writable", lambda: call("mount", b"none", b"/", b"none", 32 | 4096, 0))
attempt("umount", lambda: call("umount2", b"/", 2))
attempt("pivot", lambda: call("pivot_root", b".", b"."))
attempt("fsopen", lambda: call("fsopen", b"tmpfs", 0))
attempt("open_tree", lambda: call("open_tree", -100, b"/", 1))
attempt("move_mount", lambda: call("move_mount", -100, b"/", -100, b".", 0))
attempt("mount_setattr", lambda: call("mount_setattr", -100, b"/", 0, bytes(32), 32))
""",
        raw=True,
    ),
    script(
        "new namespaces",
        """
flags = [0x80, 0x20000, *(1 << bit for bit in range(25, 31))]
for flag in flags:
    attempt(f"unshare {flag:#x}", lambda: call("unshare", flag))
    if flag != 0x80:
        attempt(f"clone {flag:#x}", lambda: call("clone", flag | 17, 0, 0, 0, 0) or os._exit(0))
import struct
clone3 = struct.pack("11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
attempt("clone3", lambda: call("clone3", clone3, 88) or os._exit(0))
attempt("sibling", lambda: call("clone", 0x8000 | 17, 0, 0, 0, 0) or os._exit(0))
import subprocess
for tool in (["unshare", "-Ur", "id"], ["bwrap", "--ro-bind", "/", "/", "id"], ["nsenter", "-t", "1", "-m", "id"],
             ["chroot", "/", "id"]):
    attempt(tool[0], lambda: subprocess.run(tool, check=True, capture_output=True).stdout)
""",
        raw=True,
    ),
    script(
        "join other namespaces",
        """
for name in ("mnt", "pid", "net", "user", "ipc", "uts", "cgroup", "time"):
    for pid in ("1", "self", str(os.getppid())):
        attempt(name, lambda: call("setns", os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), 0))
attempt("pidfd", lambda: call("setns", os.pidfd_open(os.getpid()), 0x10000000))
attempt("descriptor of another", lambda: call("pidfd_getfd", os.pidfd_open(1), 0, 0))
""",
        raw=True,
    ),
    script(
        "escape a chroot",
        """
os.mkdir("jail")
attempt("chroot", lambda: os.chroot("jail"))
for _ in range(20):
    os.chdir("..")
attempt("chroot", lambda: os.chroot("."))
attempt("read", lambda: open(told["secrets"][0]).read())
""",
    ),
    script(
        "file handles",
        """
handle = ctypes.create_string_buffer(b"\\x80\\0\\0\\0" + bytes(200))
mount_id = ctypes.create_string_buffer(8)
attempt("name", lambda: call("name_to_handle_at", -100, b"/", handle, mount_id, 0))
for inode in range(1, 200):
    fake = ctypes.create_string_buffer(b"\\x08\\0\\0\\0\\x01\\0\\0\\0" + inode.to_bytes(8, "little"))
    attempt("open", lambda: call("open_by_handle_at", os.open("/", os.O_PATH), fake, 0))
""",
        raw=True,
    ),
    script(
        "device nodes",
        """
import stat
for kind, major, minor in ((stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 1, 11), (stat.S_IFCHR, 10, 232), (stat.S_IFBLK, 8, 0),
                           (stat.S_IFBLK, 253, 0), (stat.S_IFBLK, 7, 0), (stat.S_IFCHR, 5, 1)):
    attempt("make", lambda: os.mknod(f"node{major}.{minor}", kind | 0o666, os.makedev(major, minor)))
for name in ("mem", "kmem", "port", "kmsg", "sda", "vda", "nvme0n1", "loop0", "kvm", "fuse", "net/tun", "vsock",
             "vhost-net", "nvidia0", "dri/card0", "tty", "console", "ptmx", "input/event0", "snd/seq", "rtc0", "hwrng"):
    attempt(name, lambda: os.open("/dev/" + name, os.O_RDONLY | os.O_NONBLOCK))
""",
    ),
    script(
        "become somebody else",
        """
for name in ("setuid", "setgid", "seteuid", "setegid"):
    attempt(name, lambda: getattr(os, name)(0))
attempt("setresuid", lambda: os.setresuid(0, 0, 0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("capset", lambda: call("capset", b"\\x22\\x05\\x08\\x20" + bytes(4), b"\\xff" * 24))
attempt("keep caps", lambda: call("prctl", 8, 1, 0, 0, 0))
attempt("ambient", lambda: call("prctl", 47, 2, 21, 0, 0))
attempt("securebits", lambda: call("prctl", 28, 0, 0, 0, 0))
import subprocess
for tool in (["su", "-c", "id"], ["sudo", "-n", "id"], ["pkexec", "id"], ["newgrp", "root"],
             ["mount", "-t", "proc", "p", "."]):
    attempt(tool[0], lambda: subprocess.run(tool, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout)
if os.geteuid() == 0 or os.getuid() == 0:
    print("GOT root")
held = ctypes.create_string_buffer(24)
call("capget", b"\\x22\\x05\\x08\\x20" + bytes(4), held)
if any(held.raw):
    print("GOT capabilities", held.raw.hex())
""",
        raw=True,
    ),
    script(
        "a filter of its own, another personality, a typing terminal",
        """
import struct
rule = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(rule)))
attempt("prctl", lambda: call("prctl", 22, 2, ctypes.addressof(program), 0, 0))
attempt("seccomp", lambda: call("seccomp", 1, 0, ctypes.addressof(program)))
attempt("listener", lambda: call("seccomp", 1, 8, ctypes.addressof(program)))
attempt("personality", lambda: call("personality", 0x0040000))
for fd in (0, 1, 2):
    attempt("type", lambda: call("ioctl", fd, 0x5412, b"x"))
    attempt("paste", lambda: call("ioctl", fd, 0x541C, b"\\3"))
    attempt("take", lambda: call("ioctl", fd, 0x540E, 1))
""",
        raw=True,
    ),
    script(
        "raw calls: tracing and others' memory",
        """
for pid in (1, os.getppid(), told["victim"], told["host"]):
    attempt("attach", lambda: call("ptrace", 16, pid, 0, 0))
    attempt("seize", lambda: call("ptrace", 0x4206, pid, 0, 0))
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
    attempt("read", lambda: call("process_vm_readv", pid, vector, 1, vector, 1, 0))
    attempt("write", lambda: call("process_vm_writev", pid, vector, 1, vector, 1, 0))
    attempt("compare", lambda: call("kcmp", pid, os.getpid(), 0, 0, 0) + 1)
    attempt("advise", lambda: call("process_madvise", pid, vector, 1, 21, 0))
attempt("trace me", lambda: call("ptrace", 0, 0, 0, 0))
""",
        raw=True,
    ),
    script(
        "raw calls: every other door",
        """
for name, arguments in {
    "bpf": (5, bytes(128), 128), "perf_event_open": (bytes(128), 0, -1, -1, 0), "userfaultfd": (1,),
    "io_uring_setup": (8, bytes(120)), "keyctl": (1, 0), "add_key": (b"user", b"k", b"v", 1, -3),
    "request_key": (b"user", b"k", 0, -3), "memfd_create": (b"m", 0), "memfd_secret": (0,), "shmget": (0, 4096, 0o1600),
    "semget": (0, 1, 0o1600), "msgget": (0, 0o1600), "mq_open": (b"q", 0o102, 0o600, 0), "syslog": (3, bytes(100), 100),
    "fanotify_init": (0, 0), "quotactl": (0, 0, 0, 0), "swapoff": (b"/none",), "acct": (b"x",), "iopl": (3,),
    "ioperm": (0, 1, 1), "modify_ldt": (0, bytes(64), 64), "kexec_load": (0, 0, 0, 4), "init_module": (b"", 0, b""),
    "finit_module": (0, b"", 0), "delete_module": (b"none", 0), "sethostname": (b"owned", 5),
    "setdomainname": (b"o", 1),
    "vhangup": (), "landlock_create_ruleset": (0, 0, 1), "io_setup": (1, bytes(8)), "vmsplice": (1, 0, 0, 0),
    "move_pages": (0, 0, 0, 0, 0, 0), "lookup_dcookie": (0, 0, 0), "mbind": (0, 0, 0, 0, 0, 0), "sync": (),
}.items():
    attempt(name, lambda: call(name, *arguments) + 1)
""",
        raw=True,
    ),
    script(
        "tamper with the clock",
        """
before = time.time()
attempt("clock_settime", lambda: time.clock_settime(time.CLOCK_REALTIME, 0))
attempt("settimeofday", lambda: call("settimeofday", bytes(16), 0))
attempt("adjtimex", lambda: call("adjtimex", bytes(208)) + 1)
attempt("clock_adjtime", lambda: call("clock_adjtime", 0, bytes(208)) + 1)
attempt("rtc", lambda: os.open("/dev/rtc0", os.O_RDONLY))
if abs(time.time() - before) > 60:
    print("GOT the clock")
""",
        raw=True,
    ),
    script(
        "call in 32-bit",
        """
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")
print("GOT", ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
""",
        "crash",
        raw=True,
    ),
    script("call in x32", 'print("GOT", _libc.syscall(ctypes.c_long(0x40000000 + 39)))', "crash", raw=True),
]
