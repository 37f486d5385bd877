"""Go into the sandbox: build a small read-only world, shut its door, and become the keeper.

Started as `python -I -S enter.py` with one message on standard input: `{isolation, binds, links, python, folder,
filter, ...}`. Everything here is trusted and runs before any program has come near.

- `bubblewrap`: bwrap makes the namespaces and the file system.
- `namespaces`: the same by the kernel's own calls, as any user.
- `none`: nothing is walled off; only the keeper and its limits.

Run as root, what the world is made of is first put where anyone can see it, and root is given up for a user id that
nobody has, so that the kernel counts and limits the sandbox's processes as it does any user's.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import frames
import kernel

USER = 1000
"""Who one is inside."""
NOBODYS_IDS = 61184, 4000
"""First and number of the user ids that root gives itself up for (a range for services that come and go)."""
ALL_NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)
DEVICES = ("null", "zero", "full", "random", "urandom")
PLACES = {"/tmp": "/box/tmp", "/dev/shm": "/box/shm"}
"""Links to the one place that can be written, which each program gets anew."""
ETC = {
    "/etc/passwd": f"box:x:{USER}:{USER}:box:/tmp:/bin/sh\n",
    "/etc/group": f"box:x:{USER}:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def main() -> None:
    world = frames.receive(0)
    isolation = world["isolation"]
    if isolation == "none":
        kernel.die_with_parent()
        keep(world)
    if os.geteuid() == 0:
        give_up_root(world)
    kernel.die_with_parent()
    if isolation == "bubblewrap":
        bubblewrap(world)
    else:
        namespaces(world)


def keep(world: dict[str, Any]) -> None:
    """Become the keeper."""
    sys.path[0] = world["folder"]
    import keeper

    keeper.main(world)
    sys.exit(0)


def give_up_root(world: dict[str, Any]) -> None:
    """Put what the world is made of into a private place that all may read, and become a user that nobody is."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    stage = "/run"  # any folder that is always there: it is hidden in this mount namespace only
    kernel.mount("tmpfs", stage, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    staged: list[list[str]] = []
    for number, (source, target) in enumerate(world["binds"]):
        place = f"{stage}/{number}"
        make_place(source, place)
        kernel.mount(source, place, "", kernel.MS_BIND | kernel.MS_REC)
        staged.append([place, target])
    world["binds"] = staged
    first, count = NOBODYS_IDS
    user = first + os.getpid() % count
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    kernel.dumpable(True)  # a change of user takes that away, and with it the right to write one's own uid_map


def make_place(source: str, place: str) -> None:
    """A folder, or an empty file, to mount `source` on."""
    if os.path.isdir(source):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))


def bubblewrap(world: dict[str, Any]) -> None:
    """Become bwrap, which starts this Python again inside, as the keeper."""
    data, write = os.pipe()
    arguments = ["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    arguments += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "box"]
    arguments += ["--uid", str(USER), "--gid", str(USER), "--clearenv"]
    for name, value in world["environment"].items():
        arguments += ["--setenv", name, value]
    for source, target in world["binds"]:
        arguments += ["--ro-bind", source, target]
    for target, place in world["links"]:
        arguments += ["--symlink", place, target]
    for device in DEVICES:
        arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for target, place in PLACES.items():
        arguments += ["--symlink", place, target]
    for path, text in ETC.items():
        read, into = os.pipe()
        os.write(into, text.encode())
        os.close(into)
        os.set_inheritable(read, True)
        arguments += ["--perms", "0644", "--ro-bind-data", str(read), path]
    arguments += ["--proc", "/proc", "--dir", "/box", "--remount-ro", "/", "--chdir", "/"]
    arguments += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SYS_PTRACE"]
    os.set_inheritable(data, True)
    message = frames.pack(world)
    arguments += ["--", world["python"], *world["flags"], f"{world['folder']}/keeper.py", str(data)]
    if os.fork() == 0:  # the message may be longer than a pipe holds
        os.close(data)
        frames.write_all(write, message)
        os._exit(0)
    os.close(write)
    os.execv(world["bwrap"], ["bwrap", *arguments])


def namespaces(world: dict[str, Any]) -> None:
    """Make the namespaces and the file system, and become the keeper there."""
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(ALL_NAMESPACES)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{USER} {user} 1"),
        ("gid_map", f"{USER} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    child = os.fork()
    if child:
        close_all_but(2)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    kernel.die_with_parent()
    os.setsid()
    build(world)
    os.environ.clear()
    os.environ.update(world["environment"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep(world)


def build(world: dict[str, Any]) -> None:
    """A new root with nothing in it but what `world` names, all of it read-only; the old one is let go."""
    root = "/tmp"  # the place to build in: only this namespace sees it covered
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    # `/tmp` may hold what is to be bound, so the sources are opened before it is covered.
    opened = [(os.open(source, os.O_PATH | os.O_CLOEXEC), target) for source, target in world["binds"]]
    devices = [(os.open(f"/dev/{name}", os.O_PATH | os.O_CLOEXEC), name) for name in DEVICES]
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=4m")
    for fd, target in opened:
        make_place(f"/proc/self/fd/{fd}", root + target)
        kernel.mount(f"/proc/self/fd/{fd}", root + target, "", kernel.MS_BIND | kernel.MS_REC)
        kernel.read_only(root + target)
        os.close(fd)
    for fd, name in devices:
        make_place(f"/proc/self/fd/{fd}", f"{root}/dev/{name}")
        kernel.mount(f"/proc/self/fd/{fd}", f"{root}/dev/{name}", "", kernel.MS_BIND)
        os.close(fd)
    for target, place in [*world["links"], *PLACES.items()]:
        os.makedirs(os.path.dirname(root + target), exist_ok=True)
        os.symlink(place, root + target)
    for path, text in ETC.items():
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        with open(root + path, "w") as file:
            file.write(text)
    os.makedirs(f"{root}/proc")
    os.makedirs(f"{root}/box")
    kernel.mount("proc", f"{root}/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
    os.makedirs(f"{root}/old")
    os.chdir(root)
    kernel.pivot_root(".", "old")
    kernel.unmount("/old")
    os.rmdir("/old")
    os.chdir("/")
    kernel.read_only("/", recursive=False)


def close_all_but(last: int) -> None:
    os.closerange(last + 1, 1024)
    for fd in (0, 1):
        os.close(fd)


if __name__ == "__main__":
    main()
