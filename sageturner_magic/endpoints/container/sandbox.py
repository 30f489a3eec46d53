"""An unpacked image run without an engine: in namespaces of its own, by bubblewrap or unshare.

The model sees the image's files, read-only, with the model at /opt/ml/model and folders of its
own where an instance's container may write. It has no privileges, its own process numbers, and
this machine's network, where it listens on 127.0.0.1 only. This keeps what runs here alike to
what runs on SageMaker; it is no wall around code that nobody trusts.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from sageturner_magic.constants import MODEL_DIR, Architecture
from sageturner_magic.endpoints.children import LIFELINE
from sageturner_magic.endpoints.container.runner import (
    STOP_SECONDS,
    UNPRIVILEGED,
    ContainerSpec,
    Exit,
    refusal,
)
from sageturner_magic.errors import EndpointError
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import UnpackedImage

MEMORY_SECONDS = 0.2
"""Between two looks at how much memory the processes have."""

_PROGRAMS = ("/usr", "/bin", "/lib", "/lib64", "/nix")
"""Where this machine's own programs and what they load lie, for a trial."""

_FROM_HOST = ("/etc/resolv.conf", "/etc/hosts")
_SERVERLESS_WRITABLE = ("/tmp",)
WRITABLE = ("/tmp", "/var/tmp", "/run", "/root", "/home")
"""Where containers write; on an instance they may write everywhere, and here they may not."""

_HOSTNAME = "sageturner"
_PROCESS = "set `compute: {local: {mode: process}}`, which needs neither"

STUDIO = Path("/opt/ml/metadata/resource-metadata.json")
"""Only SageMaker Studio's and notebook instances' machines have it."""

SETTINGS = Path("/proc/sys")
"""Where the kernel's settings lie."""

_MAKE_MOUNTS = r"""
set -eu
unshare=$1 root=$2 user=$3 folder=$4 hidden=$5; shift 5
path=$PATH; PATH=/usr/sbin:/usr/bin:/sbin:/bin
# What the file system forbids anyway has to be forbidden again.
read_only() {
    mount -o remount,bind,ro "$1" 2>/dev/null ||
        mount -o remount,bind,ro,nosuid,nodev "$1" 2>/dev/null ||
        mount -o remount,bind,ro,nosuid,nodev,noexec "$1"
}
mount --rbind "$root" "$root"
while [ "$1" != -- ]; do
    kind=$1 source=$2 target=$root$3; shift 3
    if [ -d "$source" ]; then mkdir -p "$target"; else [ -e "$target" ] || : > "$target"; fi
    mount --rbind "$source" "$target"
    [ "$kind" = rw ] || read_only "$target"
done
shift
mkdir -p "$root/proc" "$root/sys" "$root/dev"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
[ -z "$hidden" ] || mount -t tmpfs -o ro none "$root$hidden"
read_only "$root"
PATH=$path
exec "$unshare" --user --map-user="$user" --map-group="$user" \
    --root="$root" --wd="$folder" -- "$@"
"""
"""Makes the mounts, then gives up the privileges that this needed."""


@dataclass(frozen=True)
class _Mount:
    """A path of this machine that the model sees at `target`."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True)
class _View:
    """What a command in a sandbox sees.

    Attributes:
        user: Its number inside, of user and group.
        shared_memory: Whether /dev/shm can be written, as `multiprocessing.Lock` does.
    """

    root: str
    mounts: tuple[_Mount, ...]
    user: int
    folder: str
    shared_memory: bool = True


class Sandbox:
    """An unpacked image that was started and is not removed yet."""

    def __init__(self, program: subprocess.Popen[bytes], port: int, memory_mb: int | None) -> None:
        self._program = program
        self.id = f"process-{program.pid}"
        self.port = port
        self._out_of_memory = False
        if memory_mb is not None:
            limit = memory_mb << 20
            threading.Thread(target=self._watch_memory, args=(limit,), daemon=True).start()

    def output(self) -> Iterator[bytes]:
        """What it writes to stdout and stderr, from its start until it ends."""
        assert self._program.stdout is not None
        while chunk := os.read(self._program.stdout.fileno(), 1 << 16):
            yield chunk

    def exit(self) -> Exit | None:
        """How it ended, or None while it runs."""
        code = self._program.poll()
        if code is None:
            return None
        return Exit(128 - code if code < 0 else code, self._out_of_memory)

    def wait(self) -> Exit:
        """As `exit`, once it has ended."""
        self._program.wait()
        return self.exit() or Exit(0)

    def stop(self, grace_s: float = STOP_SECONDS) -> Exit:
        """SIGTERM, and SIGKILL after `grace_s`."""
        with suppress(psutil.NoSuchProcess):
            for first in psutil.Process(self._program.pid).children():
                first.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._program.wait(grace_s)
            return self.wait()
        self.remove()
        return Exit(128 + signal.SIGKILL, self._out_of_memory, forced=True)

    def remove(self) -> None:
        """End it at once if it still runs, and everything that it started."""
        # Its first process is the namespace's: with it all others end.
        with suppress(psutil.NoSuchProcess):
            for first in psutil.Process(self._program.pid).children():
                first.kill()
        self._program.kill()
        self._program.wait()

    def _watch_memory(self, limit: int) -> None:
        """End the largest process whenever all together have more than `limit` bytes.

        Files that are mapped do not count, pages that processes share count once.
        """
        while self._program.poll() is None:
            with suppress(psutil.Error):
                family = psutil.Process(self._program.pid).children(recursive=True)
                if sum(map(_own_memory, family)) > limit and sum(map(_fair_memory, family)) > limit:
                    self._out_of_memory = True
                    max(family, key=_own_memory).kill()
            time.sleep(MEMORY_SECONDS)


def _own_memory(process: psutil.Process) -> int:
    """Bytes in memory that are no file's; pages shared with other processes count fully."""
    with suppress(psutil.Error):
        found = process.memory_info()
        return int(found.rss - found.shared)
    return 0


def _fair_memory(process: psutil.Process) -> int:
    """The same, with shared pages divided among those that share them."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    return _own_memory(process)


def run(spec: ContainerSpec, scratch: Path) -> Sandbox:
    """Start `spec.unpacked` as SageMaker starts its image, on a free port of 127.0.0.1.

    Args:
        scratch: An empty folder for what it writes; it is left to the caller to remove.

    Raises:
        EndpointError: It cannot be started here.
    """
    image = spec.unpacked
    assert image is not None
    require_sandbox()
    if not Path(image.root).is_dir():
        raise EndpointError(
            "The unpacked image is gone",
            where=image.root,
            do="deploy again, which unpacks it",
            code="ST87",
        )
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    # Ends the server when this process ends, however that happens.
    lifeline, _mine = os.pipe()
    root_user = spec.serverless_mb is None
    view = _View(
        image.root,
        _mounts(spec, image, scratch),
        user=0 if root_user else UNPRIVILEGED,
        folder=image.working_dir,
        shared_memory=root_user,
    )
    environment = {
        "HOME": "/root" if root_user else "/",
        "HOSTNAME": _HOSTNAME,
        **image.environment,
        **spec.environment,
        **spec.secrets,
        "SAGETURNER_LISTEN_FD": str(listener.fileno()),
        LIFELINE: str(lifeline),
    }
    with listener:
        try:
            program = subprocess.Popen(
                _command(view, image.command),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(listener.fileno(), lifeline),
            )
        except OSError as error:
            raise refusal(spec.image, str(error)) from None
        port = listener.getsockname()[1]
    os.close(lifeline)
    return Sandbox(program, port, spec.serverless_mb)


def require_sandbox() -> None:
    """Raises EndpointError, with the reasons, where no unpacked image can be run."""
    if platform.system() != "Linux":
        raise EndpointError(
            "An unpacked image cannot be run here",
            why=f"it needs Linux, and this is {platform.system()}",
            do=f"start Docker, or {_PROCESS}",
            code="ST87",
        )
    complaints = [_complaint(way, shutil.which(way.program)) for way in _WAYS]
    if all(complaints):
        why, do = _cause()
        raise EndpointError(
            "An unpacked image cannot be run here",
            why=why,
            do=f"{do}, or {_PROCESS}",
            details="\n".join(complaints),
            code="ST87",
        )


def sandbox_architecture() -> Architecture:
    """Of the images that this machine can run."""
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "amd64"


def _cause() -> tuple[str, str]:
    """Why namespaces cannot be made, and what to do about it."""
    if STUDIO.exists():
        return (
            "SageMaker Studio's and notebook instances' containers may not make namespaces",
            "switch Docker access on for the Studio domain",
        )
    for setting, forbidding in (
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("user/max_user_namespaces", "0"),
    ):
        with suppress(OSError):
            if (SETTINGS / setting).read_text().strip() == forbidding:
                name = setting.replace("/", ".")
                return f"{name} is {forbidding}", f"have an administrator change {name}"
    if not any(shutil.which(way.program) for way in _WAYS):
        return "neither bubblewrap nor unshare is installed", "install bubblewrap"
    return (
        "this machine lets nobody make namespaces, as is usual within a container",
        "start Docker",
    )


def _bubblewrap(program: str, view: _View, command: tuple[str, ...]) -> list[str]:
    mounts = [
        part
        for mount in view.mounts
        for part in ("--bind" if mount.writable else "--ro-bind", mount.source, mount.target)
    ]
    return [
        *(program, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        *("--die-with-parent", "--as-pid-1", "--hostname", _HOSTNAME),
        *("--uid", str(view.user), "--gid", str(view.user)),
        *(
            "--bind",
            view.root,
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--ro-bind",
            "/sys",
            "/sys",
        ),
        *(() if view.shared_memory else ("--tmpfs", "/dev/shm", "--remount-ro", "/dev/shm")),
        *mounts,
        *("--remount-ro", "/", "--chdir", view.folder, "--", *command),
    ]


def _unshare(program: str, view: _View, command: tuple[str, ...]) -> list[str]:
    mounts = [
        part
        for mount in view.mounts
        for part in ("rw" if mount.writable else "ro", mount.source, mount.target)
    ]
    return [
        *(program, "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"),
        *("--ipc", "--uts", "--", "/bin/sh", "-c", _MAKE_MOUNTS, "sh"),
        *(program, view.root, str(view.user), view.folder),
        *("" if view.shared_memory else "/dev/shm", *mounts, "--", *command),
    ]


@dataclass(frozen=True)
class _Way:
    """A program that makes namespaces, and how it is told to."""

    name: str
    program: str
    command: Callable[[str, _View, tuple[str, ...]], list[str]]


_WAYS = (_Way("bubblewrap", "bwrap", _bubblewrap), _Way("unshare", "unshare", _unshare))


@cache
def _complaint(way: _Way, program: str | None) -> str:
    """Why that way, by `program`, does not work on this machine; empty where it does."""
    if program is None:
        return f"{way.name} is not installed"
    mounts = tuple(_Mount(path, path) for path in _PROGRAMS if Path(path).is_dir())
    with scratch_folder() as root:
        command = way.command(program, _View(str(root), mounts, user=0, folder="/"), ("true",))
        try:
            tried = subprocess.run(
                command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{way.name}: {error}"
    return "" if tried.returncode == 0 else f"{way.name}: {tried.stderr.strip()}"


def _command(view: _View, command: tuple[str, ...]) -> list[str]:
    for way in _WAYS:
        program = shutil.which(way.program)
        if program and not _complaint(way, program):
            return way.command(program, view, command)
    raise AssertionError("require() has found one")


def _mounts(spec: ContainerSpec, image: UnpackedImage, scratch: Path) -> tuple[_Mount, ...]:
    folders = WRITABLE if spec.serverless_mb is None else _SERVERLESS_WRITABLE
    found = [_Mount(path, path) for path in _FROM_HOST if Path(path).exists()]
    for folder in folders:
        own = scratch / folder.strip("/").replace("/", "-")
        own.mkdir()
        own.chmod(0o1777)
        found.append(_Mount(str(own), folder, writable=True))
    if spec.serverless_mb is None:
        # Beside the code, where models keep what they make.
        program = scratch / "program"
        shutil.copytree(f"{image.root}{image.working_dir}", program, symlinks=True)
        found.append(_Mount(str(program), image.working_dir, writable=True))
    if spec.model:
        found.append(_Mount(spec.model, MODEL_DIR))
    return tuple(found)
