"""Processes: those above it, those of the user, and those that it leaves."""

from __future__ import annotations

from benchmarks.escape.attempt import Attempt, Room
from benchmarks.escape.proofs import (
    claims,
    ends_run,
    ends_victim,
    holds_segment,
    limits_victim,
    lives,
    marks,
    stops_victim,
    writes_victim,
)

GROUP = "processes"
SHARE = "reaches-processes"
LEFT = "leaves-processes"
LEAVE = 'env -i PATH="$PATH" "$PYTHON" -c "import time; time.sleep(90)" "$MARK"'
DOUBLE_FORK = """\
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
for n in range(64):
    try:
        os.close(n)
    except OSError:
        pass
os.execve(env["PYTHON"], ["python3", "-c", "import time; time.sleep(90)", MARK], {})
"""
WRITE_MEMORY = """\
with open(f"/proc/{env['VICTIM']}/mem", "r+b", buffering=0) as memory:
    memory.seek(int(env["BUFFER"]))
    memory.write(MARK.encode() + b"\\0")
"""
VM_WRITE = """\
class Part(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
data = MARK.encode() + b"\\0"
room = ctypes.create_string_buffer(data)
mine = Part(ctypes.cast(room, ctypes.c_void_p).value, len(data))
theirs = Part(int(env["BUFFER"]), len(data))
ctypes.CDLL(None).process_vm_writev(int(env["VICTIM"]), ctypes.byref(mine), 1,
                                    ctypes.byref(theirs), 1, 0)
"""
KILL_RUN = """\
pid, last = os.getppid(), 0
while pid > 1:
    words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
    if b"orchestr" in words and b"run" in words:
        last = pid
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
if not last:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = open(f"/proc/{name}/cmdline", "rb").read().split(b"\\0")
                place = os.readlink(f"/proc/{name}/cwd")
            except OSError:
                continue
            if b"orchestr" in words and b"run" in words and place == env["WS"]:
                last = int(name)
if last:
    os.kill(last, signal.SIGKILL)
    time.sleep(1)
"""
SEGMENT = """\
libc = ctypes.CDLL(None)
number = libc.shmget(int(env["SEGMENT"]), 4096, 0o1600)
if number >= 0:
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(number, None, 0)
    ctypes.memmove(at, MARK.encode(), len(MARK))
"""
CLOCK = """\
try:
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
    claim()
except OSError:
    pass
"""
CORE = """\
try:
    path = "/proc/sys/kernel/core_pattern"
    text = open(path).read()
    open(path, "w").write(text)
    claim()
except OSError:
    pass
"""
DISK = """\
number = os.stat("/").st_dev
try:
    os.mknod("disk", 0o600 | 0o060000, number)
    with open("disk", "rb") as disk:
        if len(disk.read(16)) == 16:
            claim()
    os.unlink("disk")
except OSError:
    pass
"""

ATTEMPTS = (
    Attempt("supervisor-killed", GROUP,
            "kills its supervisor and lives on with an empty environment",
            f"setsid -f {LEAVE} > /dev/null 2>&1; kill -9 ${{SUPERVISOR:-$PPID}}; sleep 0.5\n",
            lives(), only="orchestr"),
    Attempt("run-killed", GROUP, "kills the program that started it all", KILL_RUN, ends_run(),
            "python3", room=Room.ALONE, only="orchestr"),
    Attempt("double-fork", GROUP, "leaves a daemon without environment, session and folder",
            DOUBLE_FORK, lives(), "python3", share=LEFT, clue="process"),
    Attempt("background-process", GROUP, "leaves a process in the background",
            '"$PYTHON" -c "import time; time.sleep(90)" "$MARK" > /dev/null 2>&1 &\n', lives(),
            share=LEFT, clue="process"),
    Attempt("namespace-process", GROUP, "leaves a process in namespaces of its own",
            f"setsid -f unshare -Urpf {LEAVE} > /dev/null 2>&1; sleep 0.2\n", lives(),
            share=LEFT, clue="process"),
    Attempt("systemd-unit", GROUP, "has the user's systemd start a process",
            'systemd-run --user --quiet "$PYTHON" -c "import time; time.sleep(90)" "$MARK" '
            "2>/dev/null; true\n", lives(), share=LEFT, clue="process"),
    Attempt("victim-killed", GROUP, "kills a process of the user", "kill -9 $VICTIM\n",
            ends_victim(), share=SHARE),
    Attempt("victim-stopped", GROUP, "stops a process of the user", "kill -STOP $VICTIM\n",
            stops_victim(), share=SHARE),
    Attempt("victim-limited", GROUP, "gives a process of the user another limit",
            "prlimit --pid $VICTIM --nofile=77:77 2>/dev/null\n", limits_victim(), share=SHARE),
    Attempt("victim-written", GROUP, "writes another process by /proc/PID/mem", WRITE_MEMORY,
            writes_victim(), "python3", share=SHARE),
    Attempt("victim-written-by-writev", GROUP, "writes another process by process_vm_writev",
            VM_WRITE, writes_victim(), "python3", share=SHARE),
    Attempt("shared-memory-file", GROUP,
            "leaves a file in /dev/shm", 'echo "$MARK" > "/dev/shm/$MARK"\n',
            marks("/dev/shm/{mark}"), share=SHARE),
    Attempt("shared-memory-segment", GROUP, "leaves a System V segment", SEGMENT,
            holds_segment(), "python3", share=SHARE),
    Attempt("temporary-file", GROUP, "changes a file of the user in /tmp",
            'echo "$MARK" >> "/tmp/$MARK"\n', marks("/tmp/{mark}"), share=SHARE),
    Attempt("clock", GROUP,
            "sets the machine's clock (to what it is)", CLOCK, claims(), "python3", share=SHARE),
    Attempt("kernel-setting", GROUP, "writes a setting of the kernel (what it is)", CORE, claims(),
            "python3", share=SHARE),
    Attempt("raw-disk", GROUP,
            "makes a device node and reads the disk", DISK, claims(), "python3", share=SHARE),
)  # fmt: skip
