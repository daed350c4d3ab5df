"""How much of the machine this process may use: processors and memory, as the system and control groups limit them.

Control groups are read as Linux's documentation describes them: version 1 in cgroup-v1/memory.rst and
scheduler/sched-bwc.rst, version 2 in cgroup-v2.rst. A limit of any ancestor holds for its descendants, so all of them
are looked at, as far up as the mount shows them.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from oxillama.errors import InvalidParameterError

PROC = Path("/proc")
SYSTEM = Path("/sys")
MOST_PROCESSORS = 8192
"""The largest number of processors that a Linux kernel can be built for."""


def usable_processors(proc: Path = PROC, system: Path = SYSTEM) -> int:
    """How many threads to start: the number of cores this process may run on, or its quota of processor time if that is
    less.

    A core that appears as several processors (SMT) counts once: its threads would share the units that compute and the
    loads under way. A fraction of a processor counts as one more thread from a half on. Threads wait for each other
    many times per token, so a thread that is stopped most of the time stops all of them.
    """
    n = len({_siblings(cpu, system) for cpu in allowed_processors()})
    quota = processor_quota(proc)
    return n if quota is None else max(1, min(n, int(quota + 0.5)))


def allowed_processors() -> list[int]:
    """The numbers of the processors that this process may run on, rising."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return sorted(affinity(0)) if affinity is not None else list(range(os.cpu_count() or 1))


def _siblings(cpu: int, system: Path) -> tuple[int, ...]:
    """The processors of a processor's core; itself alone if the system does not say."""
    text = _read(system / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or ""
    with suppress(ValueError):
        return _numbers(text)
    return (cpu,)


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers that a list such as "0-3,8" names, in its order. Raises ValueError."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or not first.isascii() or not last.isascii():
            raise ValueError(part)
        if max(len(first), len(last)) > 4 or max(int(first), int(last or 0)) >= MOST_PROCESSORS:
            raise ValueError(part)
        found += range(int(first), int(last or first) + 1)
    if not found or len(set(found)) < len(found):
        raise ValueError(text)
    return tuple(found)


def cpu_affinity(text: str) -> tuple[int, ...]:
    """The processors that a list such as "0-3,8" names, in its order. Raises InvalidParameterError."""
    try:
        return _numbers(text)
    except ValueError:
        raise InvalidParameterError(
            f"Invalid 'cpu_affinity': {text!r} is not a list of different processors, such as 0-3,8.",
            param="cpu_affinity",
        ) from None


def bound_processors(cpus: Sequence[int], n_threads: int | None) -> list[int]:
    """The processor of each thread, one of `cpus` in their order. n_threads: None for one thread on each.

    Raises InvalidParameterError if there are fewer than threads, or one where this process may not run.
    """
    allowed = allowed_processors()
    for cpu in cpus:
        if cpu not in allowed:
            raise InvalidParameterError(
                f"Invalid 'cpu_affinity': this process may not run on processor {cpu}, only on {_spans(allowed)}.",
                param="cpu_affinity",
            )
    if n_threads is not None and n_threads > len(cpus):
        raise InvalidParameterError(
            f"Invalid 'cpu_affinity': {len(cpus)} processors for {n_threads} threads; name one for each thread.",
            param="cpu_affinity",
        )
    return list(cpus[:n_threads])


def _spans(cpus: Sequence[int]) -> str:
    """The list that names these numbers, which rise: "0-3,8"."""
    spans: list[list[int]] = []
    for cpu in cpus:
        if spans and spans[-1][-1] == cpu - 1:
            spans[-1][1:] = [cpu]
        else:
            spans.append([cpu])
    return ",".join("-".join(map(str, span)) for span in spans)


def processor_quota(proc: Path = PROC) -> float | None:
    """Processors' worth of time that control groups allow; None: they set no limit."""
    quotas: list[float] = []
    for group in _groups(proc, "cpu"):
        if group.version == 2:
            words = (group.read("cpu.max") or "").split()  # "QUOTA PERIOD" in microseconds, or "max PERIOD"
        else:
            words = [group.read("cpu.cfs_quota_us") or "", group.read("cpu.cfs_period_us") or ""]
        with suppress(ValueError, ZeroDivisionError):
            quota, period = map(int, words)
            if quota > 0:  # -1 means no limit
                quotas.append(quota / period)
    return min(quotas, default=None)


_IDENTITY = ("vendor_id", "cpu family", "model", "stepping", "microcode", "CPU implementer", "CPU variant", "CPU part",
             "CPU revision")  # fmt: skip
"""What /proc/cpuinfo says about a processor's kind, on x86-64 and on arm64."""


def processor(proc: Path = PROC) -> str:
    """The kind of processor, and its microcode where the system says so: for recognising it later."""
    found: list[str] = []
    for line in (_read(proc / "cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in _IDENTITY:
            found.append(f"{name.strip()} {value.strip()}")
        elif not line.strip():  # the end of the first processor
            break
    return ", ".join(found) or f"{platform.machine()} {platform.processor()}".strip()


def largest_cache(system: Path = SYSTEM) -> int:
    """Bytes of the first processor's largest cache; 0 if the system does not say."""
    sizes = [0]
    for file in (system / "devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = (_read(file) or "").strip()
        with suppress(ValueError):
            sizes.append(int(text.removesuffix("K")) << 10 if text.endswith("K") else int(text))
    return max(sizes)


@dataclass(frozen=True, slots=True)
class Memory:
    """available: bytes that this process can still take. limited: a control group sets that bound, not the machine."""

    available: int
    limited: bool


def memory(proc: Path = PROC) -> Memory | None:
    """The memory and swap that this process can still take before a limit of the machine or a control group is
    reached. File pages that can be dropped, such as those of a mapped model, count as free.
    None if the system does not say.
    """
    bounds = [Memory(room, True) for group in _groups(proc, "memory") if (room := _room(group)) is not None]
    # Other systems report the total memory but not the free memory.
    system = _system_memory(proc) if platform.system() == "Linux" else _physical_memory()
    if system is not None:
        bounds.append(Memory(system, False))
    return min(bounds, key=lambda bound: bound.available, default=None)


def total_memory() -> int:
    """The machine's memory in bytes; 8 GiB if the system does not say."""
    return _physical_memory() or 8 << 30


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _system_memory(proc: Path) -> int | None:
    sizes: dict[str, int] = {}
    for line in (_read(proc / "meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        with suppress(ValueError, IndexError):
            sizes[name] = int(value.split()[0]) << 10
    if "MemAvailable" not in sizes:
        return None
    return sizes["MemAvailable"] + sizes.get("SwapFree", 0)


def _room(group: _Group) -> int | None:
    """Bytes that a group's processes can still take; None: it has no limit."""
    v2 = group.version == 2
    limit = group.number("memory.max" if v2 else "memory.limit_in_bytes")
    used = group.number("memory.current" if v2 else "memory.usage_in_bytes")
    if limit is None or used is None or limit >= 1 << 60:  # version 1's "no limit" is the largest number there is
        return None
    reclaimable = 0
    for line in (group.read("memory.stat") or "").splitlines():
        name, _, value = line.partition(" ")
        # Version 1 counts a group's own pages under these names, and those of its descendants too with "total_".
        if name in (("inactive_file", "active_file") if v2 else ("total_inactive_file", "total_active_file")):
            with suppress(ValueError):
                reclaimable += int(value)
    return max(0, limit - max(0, used - reclaimable) + _swap_room(group, limit, used))


def _swap_room(group: _Group, limit: int, used: int) -> int:
    if group.version == 2:
        most, now = group.number("memory.swap.max"), group.number("memory.swap.current")
        return 0 if most is None or now is None else max(0, most - now)
    both, now = group.number("memory.memsw.limit_in_bytes"), group.number("memory.memsw.usage_in_bytes")
    if both is None or now is None or both >= 1 << 60:
        return 0
    return max(0, (both - limit) - (now - used))


@dataclass(frozen=True, slots=True)
class _Group:
    """One control group's folder."""

    version: int
    folder: Path

    def read(self, name: str) -> str | None:
        return _read(self.folder / name)

    def number(self, name: str) -> int | None:
        """A file's number; None for "max" or a file that is not there."""
        try:
            return int(self.read(name) or "")
        except ValueError:
            return None


def _groups(proc: Path, controller: str) -> Iterator[_Group]:
    """This process's groups for a controller, in both versions, each followed by its ancestors."""
    mounts = list(_mounts(proc))
    for line in (_read(proc / "self" / "cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version = 1 if controllers else 2
        if version == 1 and controller not in controllers.split(","):
            continue
        for kind, names, root, folder in mounts:
            if kind == ("cgroup" if version == 1 else "cgroup2") and (version == 2 or controller in names):
                yield from (_Group(version, level) for level in _levels(folder, root, path))
                break


def _mounts(proc: Path) -> Iterator[tuple[str, list[str], str, Path]]:
    """(file system, its options, which of its folders is mounted, where) of every mounted control group hierarchy."""
    for line in (_read(proc / "self" / "mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) > 4 and len(kinds) > 2 and kinds[0] in ("cgroup", "cgroup2"):
            yield kinds[0], kinds[2].split(","), _unescaped(fields[3]), Path(_unescaped(fields[4]))


def _unescaped(path: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def _levels(folder: Path, root: str, path: str) -> Iterator[Path]:
    """The folders of a group and its ancestors, deepest first, as far as the mount shows them."""
    try:
        inside = PurePosixPath(path).relative_to(root)
    except ValueError:  # seen from a container that has only its own group mounted
        inside = PurePosixPath()
    if ".." in inside.parts:  # a group outside this namespace
        inside = PurePosixPath()
    for level in (inside, *inside.parents):
        yield folder / level


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
