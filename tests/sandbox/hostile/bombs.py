"""Using up: processes, threads, memory of every kind, disk. All bounded, should nothing hold them."""

from __future__ import annotations

from sandbox.hostile.attack import LIMITS, Attack, script

from homeschool.core.execution import Execution, Limits, Program

LONGER = Limits(seconds=0.6, memory_mb=256, processes=32, output_kb=64)
HELD_MB = 256
"""What the kernel may hold for one program outside its processes' memory, in pipes and sockets: no more than that."""


def held_little(execution: Execution) -> None:
    held = sum(int(line.split()[1]) for line in execution.stdout.splitlines() if line.startswith("HELD "))
    assert held < HELD_MB << 20, f"{held >> 20} MB in flight"


def flood(name: str, source: str) -> Attack:
    """Fills something of the kernel's from many processes, each saying `HELD bytes`."""
    text = f"""
MOST = 64 << 20
def widen(end):
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
    except OSError:
        pass
def fill():
{source}
for _ in range(40):
    try:
        if os.fork() == 0:
            held = 0
            try:
                for held in fill():
                    pass
            except OSError:
                pass
            os.write(1, f"HELD {{held}}\\n".encode())
            time.sleep(2)
            os._exit(0)
    except OSError:
        break
time.sleep(1)
"""
    attack = script(name, text, "passed memory timeout", limits=LONGER)
    return Attack(attack.name, attack.program, attack.ends, check=held_little)


PROCESSES = [
    script(
        "fork bomb",
        """
end = time.monotonic() + 4
while time.monotonic() < end:
    try:
        os.fork()
    except OSError:
        pass
""",
        "timeout memory",
    ),
    script(
        "fork bomb of new sessions",
        """
end = time.monotonic() + 4
while time.monotonic() < end:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        time.sleep(0.001)
""",
        "timeout memory",
    ),
    script(
        "children that sleep",
        """
made = 0
try:
    for made in range(400):
        if os.fork() == 0:
            os.setsid()
            time.sleep(20)
            os._exit(0)
except OSError:
    pass
if made > 32:
    print("GOT", made)
""",
    ),
    script(
        "children that end and are never waited for",
        """
try:
    for made in range(400):
        if os.fork() == 0:
            os._exit(0)
except OSError:
    pass
""",
    ),
    Attack(
        "fork bomb of the shell",
        Program(
            argv=("sh", "-c", "b() { [ $1 -gt 10 ] || { b $(($1+1)) | b $(($1+1)) & b $(($1+1)); }; }; b 0; sleep 9"),
            limits=LIMITS,
        ),
        frozenset({"timeout", "error", "memory", "output"}),
    ),
    script(
        "thread bomb",
        """
for made in range(3000):
    threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
print("GOT", made)
""",
        "error memory timeout",
    ),
    script(
        "busy threads",
        "for _ in range(8): threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()",
        "timeout memory",
    ),
    script(
        "busy children",
        """
for _ in range(8):
    if os.fork() == 0:
        while True: pass
while True: time.sleep(1)
""",
        "timeout",
    ),
    script("descriptors", "kept = [open('/dev/null') for _ in range(5000)]\nprint('GOT', len(kept))", "error"),
    flood(
        "pipes full of data",
        """
    held, ends = 0, []
    while True:
        ends.append(os.pipe())
        os.set_blocking(ends[-1][1], False)
        try:
            while True:
                held += os.write(ends[-1][1], bytes(65536))
        except BlockingIOError:
            yield held
""",
    ),
    flood(
        "sockets full of data",
        """
    held, ends = 0, []
    while held < MOST:
        ends.append(socket.socketpair())
        for end in ends[-1]:
            end.setblocking(False)
            widen(end)
            try:
                while held < MOST:
                    held += end.send(bytes(65536))
                    yield held
            except BlockingIOError:
                pass
""",
    ),
    flood(
        "datagrams in flight",
        """
    held, ends = 0, []
    while held < MOST:
        ends.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        ends[-1][0].setblocking(False)
        widen(ends[-1][0])
        try:
            while held < MOST:
                held += ends[-1][0].send(bytes(65536))
                yield held
        except BlockingIOError:
            pass
""",
    ),
    script(
        "descriptors in flight",
        """
left, right = socket.socketpair()
left.setblocking(False)
try:
    for _ in range(5000):
        socket.send_fds(left, [b"x"], [left.fileno()] * 200)
except OSError:
    pass
""",
    ),
]

MEMORY = [
    script("a list that grows", "kept = []\nfor _ in range(4000): kept.append([0] * 100_000)", "memory"),
    script("one large array", "kept = bytearray(3 << 30)", "memory"),
    script("a long text", "kept = 'x' * (3 << 30)", "memory"),
    script("a large number", "kept = 1 << (1 << 35)", "memory error"),
    script(
        "memory error after memory error",
        """
kept = []
for _ in range(300):
    try: kept.append(bytearray(50 << 20))
    except MemoryError: pass
raise MemoryError
""",
        "memory",
    ),
    script(
        "a private map",
        "import mmap\nkept = mmap.mmap(-1, 3 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
        "error memory",
    ),
    script("a shared map", "import mmap\nkept = mmap.mmap(-1, 3 << 30)", "error memory"),
    script(
        "memory of many processes",
        """
for _ in range(8):
    if os.fork() == 0:
        kept = bytearray(b"x") * (100 << 20)
        time.sleep(5)
        os._exit(0)
time.sleep(5)
""",
        "memory",
        limits=Limits(seconds=1, memory_mb=256, processes=32, output_kb=64),
    ),
    script(
        "memory of many processes in hiding",
        """
import ctypes
for _ in range(8):
    if os.fork() == 0:
        os.setsid()
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        kept = bytearray(b"x") * (100 << 20)
        time.sleep(5)
        os._exit(0)
time.sleep(5)
""",
        "memory",
        limits=Limits(seconds=1, memory_mb=256, processes=32, output_kb=64),
    ),
    script(
        "memory of orphans",
        """
if os.fork() == 0:
    os.setsid()
    for _ in range(8):
        if os.fork() == 0:
            kept = bytearray(b"x") * (100 << 20)
            time.sleep(5)
            os._exit(0)
    os._exit(0)
os.wait()
time.sleep(5)
""",
        "memory",
        limits=Limits(seconds=1, memory_mb=256, processes=32, output_kb=64),
    ),
    script(
        "shared maps whose makers are gone",
        """
import mmap
for _ in range(10):
    maker = os.fork()
    if maker == 0:
        kept = mmap.mmap(-1, 100 << 20)
        if os.fork() == 0:
            time.sleep(5)  # holds the map, and has touched none of it
        else:
            kept.write(b"x" * (100 << 20))
        os._exit(0)
    os.waitpid(maker, 0)
time.sleep(5)
""",
        "memory",
        limits=Limits(seconds=1, memory_mb=256, processes=32, output_kb=64),
    ),
    script(
        "unpack a bomb",
        "import gzip\nmember = gzip.compress(bytes(16 << 20), 1)\nkept = gzip.decompress(member * 200)",
        "memory timeout",
        limits=Limits(seconds=1, memory_mb=256, processes=32, output_kb=64),
    ),
    script(
        "entities that multiply",
        """
import xml.etree.ElementTree as tree
text = '<!DOCTYPE a [<!ENTITY e0 "xxxxxxxxxx">' + "".join(
    f'<!ENTITY e{n} "' + f"&e{n - 1};" * 10 + '">' for n in range(1, 10)) + "]><a>&e9;</a>"
tree.fromstring(text)
""",
        "error memory timeout",
    ),
]

DISK = [
    script(
        "a large file",
        "with open('large', 'wb') as file:\n    for _ in range(3000): file.write(bytes(1 << 20))",
        "error",
    ),
    script(
        "many large files",
        """
for number in range(100):
    with open(f"large{number}", "wb") as file:
        for _ in range(30): file.write(bytes(1 << 20))
""",
        "error",
    ),
    script(
        "files without names",
        """
kept = []
for number in range(200):
    kept.append(open("gone", "wb"))
    os.remove("gone")
    kept[-1].write(bytes(16 << 20))
""",
        "error",
    ),
    script(
        "shared memory files",
        "for number in range(100):\n    with open(f'/dev/shm/{number}', 'wb') as file: file.write(bytes(16 << 20))",
        "error",
    ),
    script(
        "a map of a file that is not there",
        """
import mmap
with open("sparse", "w+b") as file:
    os.ftruncate(file.fileno(), 3 << 30)
    view = mmap.mmap(file.fileno(), 3 << 30)
    for place in range(0, 3 << 30, 4096):
        view[place] = 1
""",
        "error crash memory",
    ),
    script("many files", "for number in range(20000): open(f'file{number}', 'w').close()", "error"),
    script(
        "folders in folders",
        "for _ in range(20000):\n    os.mkdir('d')\n    os.chdir('d')",
        "error timeout",
    ),
    script(
        "unpack to disk",
        """
import io, zipfile
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
    archive.writestr("a", bytes(30 << 20))
for number in range(20):
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(f"out{number}")
""",
        "error timeout",
        limits=Limits(seconds=1, memory_mb=256, processes=32, output_kb=64),
    ),
    script(
        "an archive that climbs out",
        """
import io, tarfile, zipfile
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w") as archive:
    for name in [*told["secrets"], "../../../../../../.." + told["secrets"][0]]:
        member = tarfile.TarInfo(name); member.size = 5
        archive.addfile(member, io.BytesIO(b"owned"))
packed.seek(0)
with tarfile.open(fileobj=packed) as archive:
    attempt("extract", lambda: archive.extractall("out", filter="fully_trusted"))
""",
    ),
]

BOMBS: list[Attack] = [*PROCESSES, *MEMORY, *DISK]
