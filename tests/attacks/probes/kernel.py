"""System calls that open the kernel: each is refused as such, not just without effect."""

from __future__ import annotations

from sandbox.isolation.seccomp_profile import system_calls
from tests.support.attacks.probe import Differs, Probe, Record, python

DENIED = ("EPERM", "EACCES", "ENOSYS")


def _call(name: str, tries: str, arguments: str, *, of: str = "", recorded: bool = True) -> Probe:
    system_call = of or name
    return Probe(
        id=name.replace("_", "-"),
        tries=tries,
        steps=(python(f"tell(kernel, {arguments})"),),
        held=DENIED,
        record=(Record("process", "syscall", system_call),) if recorded else (),
    )


def _newer(name: str, tries: str, arguments: str) -> Probe:
    """Return the probe of a call that only newer kernels have; its number is that of the list."""
    numbers = tuple(system_calls()[name].numbers.values())
    return _call(name, tries, f"{numbers}, {arguments}")


_DROPPED = (
    "_sysctl",
    "afs_syscall",
    "create_module",
    "get_kernel_syms",
    "getpmsg",
    "putpmsg",
    "query_module",
    "security",
    "tuxcall",
    "vserver",
)

PROBES = (
    _call("keyctl", "join the host's session keyring", "(250, 219), 1, None"),
    _call(
        "keyctl-search",
        "search the keyrings that it inherited",
        "(250, 219), 10, -3, b'user', b'x', 0",
        of="keyctl",
    ),
    _call(
        "add-key",
        "put a key where another run would find it",
        "(248, 217), b'user', b'left', b'x', 1, -3",
        of="add_key",
    ),
    _call(
        "request-key",
        "have the kernel start a program for a key",
        "(249, 218), b'user', b'x', b'y', -3",
        of="request_key",
    ),
    _call(
        "io-uring",
        "do file and network work that no tracer sees",
        "425, 8, ctypes.create_string_buffer(120)",
        of="io_uring_setup",
    ),
    _call("userfaultfd", "hold the kernel in a page fault", "(323, 282), 1"),
    _call(
        "bpf",
        "load a program into the kernel",
        "(321, 280), 0, ctypes.create_string_buffer(72), 72",
    ),
    _call(
        "perf",
        "watch the whole processor",
        "(298, 241), ctypes.create_string_buffer(b'\\0\\0\\0\\0\\x70', 112), -1, 0, -1, 0",
        of="perf_event_open",
    ),
    _call("fanotify", "watch and veto file accesses", "(300, 262), 0, 0", of="fanotify_init"),
    _call("kexec", "boot another kernel", "(246, 104), 0, 0, None, 0", of="kexec_load"),
    _call("module", "load a kernel module", "(175, 105), b'x', 1, b''", of="init_module"),
    _call("reboot", "restart the machine", "(169, 142), 0xfee1dead, 0x28121969, 0x1234567, None"),
    _call("syslog", "read the kernel's log", "(103, 116), 3, ctypes.create_string_buffer(64), 64"),
    _call("swapoff", "switch the machine's swap off", "(168, 225), b'/work/readme.txt'"),
    _call(
        "clock",
        "set the machine's clock",
        "(227, 112), 0, ctypes.create_string_buffer(16)",
        of="clock_settime",
    ),
    _call("hostname", "rename the machine", "(170, 161), b'mine', 4", of="sethostname"),
    _call("iopl", "drive the hardware's ports", "172, 3"),
    _call("personality", "switch address randomisation off", "(135, 92), 0x0040000"),
    _call(
        "handle-name",
        "learn a file's handle",
        "(303, 264), -100, b'/work', ctypes.create_string_buffer(b'\\x80', 140), ctypes.create_string_buffer(8), 0",
        of="name_to_handle_at",
    ),
    _call(
        "handle-open",
        "open any file of the disk by its handle",
        "(304, 265), -100, ctypes.create_string_buffer(140), 0",
        of="open_by_handle_at",
    ),
    _call(
        "mount",
        "mount a file system over its own",
        "(165, 40), b'none', b'/tmp', b'tmpfs', 0, None",
    ),
    _call(
        "bind-mount",
        "show itself /proc at another place",
        "(165, 40), b'/proc', b'/work', None, 4096, None",
        of="mount",
    ),
    _call(
        "umount", "take away a mount that hides something", "(166, 39), b'/tmp', 2", of="umount2"
    ),
    _call("new-mount-api", "mount by way of the newer calls", "430, b'tmpfs', 0", of="fsopen"),
    _call("open-tree", "copy the mount tree", "428, -100, b'/', 1", of="open_tree"),
    _call(
        "pivot-root",
        "change the root of the container",
        "(155, 41), b'/tmp', b'/tmp'",
        of="pivot_root",
    ),
    _call("chroot", "leave by way of a second root", "(161, 51), b'/tmp'"),
    _call("userns", "become root of a new user namespace", "(272, 97), 0x10000000", of="unshare"),
    _call("netns", "make a network of its own", "(272, 97), 0x40000000", of="unshare"),
    _call(
        "setns",
        "join the namespaces of the guest",
        "(308, 268), os.open('/proc/self/ns/net', os.O_RDONLY), 0",
    ),
    _call(
        "clone-userns",
        "become root of a user namespace by clone",
        "(56, 220), 0x10000011, None, None, None, None",
        of="clone(CLONE_NEW…)",
    ),
    _call(
        "clone3",
        "pass namespace flags where no filter reads them",
        "435, ctypes.create_string_buffer(88), 88",
        recorded=False,
    ),
    _call(
        "pidfd-getfd",
        "take a descriptor out of the guest",
        "438, _libc.syscall(434, 1, 0), 0, 0",
        of="pidfd_getfd",
    ),
    _call(
        "kcmp",
        "compare the guest's kernel objects with its own",
        "(312, 272), 1, os.getpid(), 0, 0, 0",
    ),
    _call(
        "vmsplice", "give the kernel pages that it changes afterwards", "(278, 75), 1, None, 0, 0"
    ),
    _newer(
        "process_madvise",
        "have the kernel throw the guest's memory away",
        "_libc.syscall(434, 1, 0), None, 0, 4, 0",
    ),
    _newer(
        "quotactl_fd",
        "read or set the disk's quotas by a descriptor",
        "os.open('/work', os.O_RDONLY), 0x800007, 0, ctypes.create_string_buffer(72)",
    ),
    _newer(
        "set_mempolicy_home_node", "choose the processor that memory lies beside", "None, 0, 0, 0"
    ),
    _newer(
        "lsm_get_self_attr",
        "ask the kernel's security modules about itself",
        "100, None, ctypes.create_string_buffer(b'\\0', 8), 0",
    ),
    _newer(
        "lsm_set_self_attr",
        "change what the kernel's security modules make of it",
        "100, ctypes.create_string_buffer(64), 64, 0",
    ),
    _newer(
        "lsm_list_modules",
        "list the kernel's security modules",
        "ctypes.create_string_buffer(64), ctypes.create_string_buffer(b'\\x40', 8), 0",
    ),
    _newer("open_tree_attr", "copy the mount tree with other rights", "-100, b'/', 1, None, 0"),
    _newer(
        "file_getattr",
        "read attributes of files by a call newer than the list",
        "-100, b'/work', ctypes.create_string_buffer(32), 32, 0",
    ),
    _newer(
        "file_setattr",
        "change attributes of files by a call newer than the list",
        "-100, b'/work', ctypes.create_string_buffer(32), 32, 0",
    ),
    _newer(
        "listns",
        "list the namespaces of the machine",
        "ctypes.create_string_buffer(32), ctypes.create_string_buffer(64), 8, 0",
    ),
    _newer("rseq_slice_yield", "use a call that is newer than most kernels", "0"),
    _call(
        "unknown-call",
        "use a call that no kernel has, as one of a later kernel would be",
        "4095, 0",
        of="4095",
    ),
    Probe(
        id="dropped-calls",
        tries="use calls that have a number on x86_64 and that kernels have long dropped",
        steps=(
            python(
                "def came_to(number):\n"
                "    try: kernel(number, 0, 0, 0, 0)\n"
                "    except OSError as error: return name(error)\n"
                f"print(*{{came_to(number) for number in {[system_calls()[call].numbers['x86_64'] for call in _DROPPED]}}})"
            ),
        ),
        held=("EPERM",),
        record=tuple(Record("process", "syscall", name) for name in _DROPPED),
    ),
    Probe(
        id="seccomp-listener",
        tries="answer its own system calls before a tracer sees them",
        steps=(
            python(
                "program = ctypes.create_string_buffer(b'\\6\\0\\0\\0\\0\\0\\xc0\\x7f', 8)\n"  # every call waits for its answer
                "filter = (ctypes.c_uint64 * 2)(1, ctypes.addressof(program))\n"
                "listener = 8\n"
                "def install():\n"
                "    child = os.fork()\n    if child == 0:\n"
                "        try: kernel((317, 277), 1, listener, ctypes.byref(filter))\n"
                "        except OSError as error: os._exit(error.errno)\n"
                "        os._exit(0)\n    return child\n"
                "child = install()\n"
                "import time; time.sleep(0.3)\n"
                "pid, status = os.waitpid(-1, os.WNOHANG)\n"
                "print(errno.errorcode.get(os.waitstatus_to_exitcode(status), '?') if pid else 'allowed')\n"
                "os.kill(child, 9) if not pid else None"
            ),
        ),
        held=("EPERM", "EBUSY", "ENOSYS"),
        differs={"gvisor": Differs(("EINVAL",), "Its kernel has no seccomp user notification.")},
    ),
    Probe(
        id="i386-table",
        tries="call by the 32-bit table, whose numbers differ",
        steps=(
            python(
                "import mmap\n"
                "code = mmap.mmap(-1, 4096, prot=7)\n"
                # mov eax, 20 (getpid); int 0x80; ret
                "code.write(b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3')\n"
                "address = ctypes.addressof(ctypes.c_char.from_buffer(code))\n"
                "got = ctypes.CFUNCTYPE(ctypes.c_int)(address)()\n"
                "print('called' if got >= 0 else errno.errorcode.get(-got, got))"
            ),
        ),
        held=("signal 31", "signal 11"),
        differs={
            "gvisor": Differs(
                ("EBADF",),
                "It has one table only: the number is taken as one of that, to which the filter applies.",
            )
        },
    ),
    Probe(
        id="x32-table",
        tries="call by the x32 table, whose numbers differ",
        steps=(python("tell(kernel, 0x40000000 + 39)"),),
        held=("ENOSYS", "signal 31"),
    ),
    Probe(
        id="x32-ptrace",
        tries="trace by the x32 table, where the filter lists another number",
        steps=(python("tell(kernel, 0x40000000 + 521, 0, 0, 0, 0)"),),
        held=("ENOSYS", "signal 31"),
    ),
    Probe(
        id="tiocsti",
        tries="type into the terminal of whoever watches",
        steps=(
            python(
                "import fcntl\n"
                "leader, follower = os.openpty() if os.path.exists('/dev/ptmx') else (0, 0)\n"
                "tell(fcntl.ioctl, follower, 0x5412, b'x')"
            ),
        ),
        held=("EPERM",),
        record=(Record("process", "syscall", "ioctl(TIOCSTI)"),),
    ),
    Probe(
        id="dev-tty",
        tries="open the terminal of whoever started the sandbox",
        steps=(python("tell(open, '/dev/tty', 'w')"),),
        held=("ENXIO", "ENOENT", "EACCES", "EIO"),
    ),
    Probe(
        id="mknod-disk",
        tries="make a device file of the machine's disk",
        steps=(python("tell(os.mknod, '/work/disk', 0o60666, os.makedev(254, 0))"),),
        held=("EPERM",),
        record=(Record("process", "syscall", "mknod*"),),
    ),
    Probe(
        id="memory-devices",
        tries="open the devices that show memory, disks and kernel messages",
        steps=(
            python(
                "names = ('mem', 'kmem', 'port', 'kmsg', 'vda', 'sda', 'loop0', 'fuse', 'kvm', 'net/tun', 'vsock')\n"
                "print([n for n in names if os.path.lexists('/dev/' + n)] or 'invisible')"
            ),
        ),
        held=("invisible",),
        differs={
            "gvisor": Differs(
                ("['fuse', 'net/tun']",),
                "They are of gVisor's own kernel and lead nowhere on the host.",
            )
        },
    ),
)
