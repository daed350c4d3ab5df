"""The processors and memory that a process may use, read from Linux's files."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import pytest

from oxillama import machine
from oxillama.errors import InvalidParameterError
from oxillama.machine import Memory

MEMINFO = "MemTotal: 24000000 kB\nMemFree: 100 kB\nMemAvailable: 8000000 kB\nSwapTotal: 4 kB\nSwapFree: 1000000 kB\n"


class Proc:
    """A test's copy of /proc and of the control groups it names."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.groups = folder / "proc", folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)

    def says(self, cgroup: str, *mounts: str) -> Path:
        """cgroup: the lines of /proc/self/cgroup. mounts: "KIND OPTIONS ROOT FOLDER" of each mounted hierarchy."""
        (self.proc / "self" / "cgroup").write_text(cgroup)
        lines = ["22 1 0:20 / /proc rw shared:1 - proc proc rw"]
        for number, mount in enumerate(mounts):
            kind, options, root, folder = mount.split()
            place = str(self.groups / folder).replace(" ", "\\040")
            lines.append(f"{30 + number} 24 0:26 {root} {place} rw,nosuid shared:9 - {kind} cgroup {options}")
        (self.proc / "self" / "mountinfo").write_text("\n".join(lines) + "\n")
        return self.proc

    def group(self, path: str, **files: str) -> None:
        folder = self.groups / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def usable(proc: Path) -> int:
    """Without the topology of this machine."""
    return machine.usable_processors(proc, proc)


@pytest.fixture
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize(
    ("quota", "threads"),
    [
        ("max 100000", 8),
        ("50000 100000", 1),
        ("10000 100000", 1),
        ("100000 100000", 1),
        ("149000 100000", 1),
        ("150000 100000", 2),
        ("400000 100000", 4),
        ("20000 10000", 2),
        ("6400000 100000", 8),
        ("", 8),
        ("nonsense", 8),
        ("100000 0", 8),
    ],
)
def test_threads_follow_the_quota_of_version_2(proc: Proc, quota: str, threads: int) -> None:
    proc.group("a/b", cpu__max=quota)
    assert usable(proc.says("0::/a/b\n", "cgroup2 rw / .")) == threads


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize(("quota", "threads"), [("-1", 8), ("50000", 1), ("150000", 2), ("300000", 3), ("0", 8)])
def test_threads_follow_the_quota_of_version_1(proc: Proc, quota: str, threads: int) -> None:
    proc.group("cpu,cpuacct/docker/x", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    cgroup = "5:memory:/other\n4:cpu,cpuacct:/docker/x\n0::/\n"
    assert usable(proc.says(cgroup, "cgroup rw,cpu,cpuacct / cpu,cpuacct")) == threads


@pytest.mark.usefixtures("eight_processors")
def test_the_tightest_of_all_ancestors_holds(proc: Proc) -> None:
    proc.group("", cpu__max="max 100000")
    proc.group("kube", cpu__max="200000 100000")
    proc.group("kube/pod", cpu__max="max 100000")
    proc.group("kube/pod/box", cpu__max="300000 100000")
    assert machine.processor_quota(proc.says("0::/kube/pod/box\n", "cgroup2 rw / .")) == 2.0


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("cgroup", ["0::/\n", "0::/../elsewhere\n", "0::/docker/x/inner\n"])
def test_inside_a_container_only_its_own_group_is_mounted(proc: Proc, cgroup: str) -> None:
    proc.group("", cpu__max="300000 100000")
    proc.group("inner", cpu__max="200000 100000")
    most = 2.0 if "inner" in cgroup else 3.0
    assert machine.processor_quota(proc.says(cgroup, "cgroup2 rw /docker/x .")) == most


@pytest.mark.usefixtures("eight_processors")
def test_a_machine_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert machine.processor_quota(tmp_path) is None
    assert usable(tmp_path) == 8


def test_affinity_bounds_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert usable(tmp_path) == 2


def topology(folder: Path, siblings: dict[int, str]) -> Path:
    """A test's copy of /sys: the processors of each processor's core."""
    for cpu, text in siblings.items():
        place = folder / f"devices/system/cpu/cpu{cpu}/topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    ("siblings", "allowed", "threads"),
    [
        ({i: f"{i % 4},{i % 4 + 4}" for i in range(8)}, range(8), 4),
        ({i: f"{i // 2 * 2}-{i // 2 * 2 + 1}" for i in range(8)}, range(8), 4),
        ({i: f"{i % 4},{i % 4 + 4}" for i in range(8)}, (0, 4, 5), 2),  # both threads of one core, one of another
        ({i: f"{i % 4},{i % 4 + 4}" for i in range(8)}, (4, 5, 6, 7), 4),
        ({0: "0-1", 1: "0-1", 2: "2", 3: "3"}, range(4), 3),  # cores with two threads beside cores with one
        ({0: "nonsense", 1: "", 2: "9999999999999"}, range(3), 3),
        ({}, range(5), 5),
    ],
)
def test_a_core_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, siblings: dict[int, str], allowed: Sequence[int], threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(allowed), raising=False)
    assert machine.usable_processors(tmp_path, topology(tmp_path, siblings)) == threads


@pytest.mark.parametrize(
    ("text", "cpus"), [("0", (0,)), ("0-3,8", (0, 1, 2, 3, 8)), ("8, 2-3", (8, 2, 3)), ("5-5", (5,)), ("8191", (8191,))]
)
def test_processors_are_named_in_a_list(text: str, cpus: tuple[int, ...]) -> None:
    assert machine.cpu_affinity(text) == cpus


@pytest.mark.parametrize("text", ["", "a", "0,,1", "-1", "3-1", "0-", "0,0", "0-3,2", "8192", "0-9999999999", "1.5"])
def test_other_lists_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="is not a list of different processors") as raised:
        machine.cpu_affinity(text)
    assert raised.value.param == "cpu_affinity"


@pytest.mark.usefixtures("eight_processors")
def test_threads_are_bound_in_the_given_order() -> None:
    assert machine.bound_processors((5, 0, 7), None) == [5, 0, 7]
    assert machine.bound_processors((5, 0, 7), 2) == [5, 0]
    with pytest.raises(InvalidParameterError, match="3 processors for 4 threads"):
        machine.bound_processors((5, 0, 7), 4)


def test_a_processor_that_is_not_allowed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 5, 7, 8}, raising=False)
    with pytest.raises(InvalidParameterError, match=r"may not run on processor 3, only on 0-2,5,7-8\.$"):
        machine.bound_processors((1, 3), None)



def test_the_machines_memory_is_the_available_memory_and_swap(proc: Proc) -> None:
    (proc.proc / "meminfo").write_text(MEMINFO)
    assert machine.memory(proc.says("")) == Memory(9_000_000 << 10, limited=False)


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({"memory__max": "max"}, None),
        ({"memory__max": "1000000"}, 1_000_000 - 400_000),
        # Pages of files can be dropped, including those of the mapped model.
        ({"memory__max": "1000000", "memory__stat": "anon 5\ninactive_file 200000\nactive_file 90000"}, 890_000),
        ({"memory__max": "300000"}, 0),
        ({"memory__max": "1000000", "memory__swap__max": "500", "memory__swap__current": "100"}, 600_400),
        ({"memory__max": "1000000", "memory__swap__max": "max", "memory__swap__current": "100"}, 600_000),
    ],
)
def test_a_group_of_version_2_bounds_memory(proc: Proc, files: dict[str, str], room: int | None) -> None:
    (proc.proc / "meminfo").write_text(MEMINFO)
    proc.group("a", memory__current="400000", **files)
    wanted = Memory(9_000_000 << 10, limited=False) if room is None else Memory(room, limited=True)
    assert machine.memory(proc.says("0::/a\n", "cgroup2 rw / .")) == wanted


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({"memory__limit_in_bytes": str(2**63 - 4096)}, None),
        ({"memory__limit_in_bytes": "1000000"}, 600_000),
        ({"memory__limit_in_bytes": "1000000", "memory__stat": "active_file 7\ntotal_active_file 300000"}, 900_000),
        (
            {
                "memory__limit_in_bytes": "1000000",
                "memory__memsw__limit_in_bytes": "1500000",
                "memory__memsw__usage_in_bytes": "450000",
            },
            600_000 + 450_000,
        ),
    ],
)
def test_a_group_of_version_1_bounds_memory(proc: Proc, files: dict[str, str], room: int | None) -> None:
    (proc.proc / "meminfo").write_text(MEMINFO)
    proc.group("memory/a", memory__usage_in_bytes="400000", **files)
    wanted = Memory(9_000_000 << 10, limited=False) if room is None else Memory(room, limited=True)
    assert machine.memory(proc.says("6:memory:/a\n", "cgroup rw,memory / memory")) == wanted


def test_the_smallest_bound_of_memory_holds(proc: Proc) -> None:
    (proc.proc / "meminfo").write_text(MEMINFO)
    proc.group("outer", memory__max="2000000", memory__current="1900000")
    proc.group("outer/inner", memory__max="1000000", memory__current="400000")
    assert machine.memory(proc.says("0::/outer/inner\n", "cgroup2 rw / .")) == Memory(100_000, limited=True)


def test_without_information_available_memory_is_unknown(tmp_path: Path) -> None:
    assert machine.memory(tmp_path) is None


def test_other_systems_report_their_total_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert machine.memory(tmp_path) == Memory(machine.total_memory(), limited=False)


X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
stepping\t: 1
microcode\t: 0xa101148
cpu MHz\t\t: 2596.150

processor\t: 1
vendor_id\t: Another
"""
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (X86, "vendor_id AuthenticAMD, cpu family 25, model 17, stepping 1, microcode 0xa101148"),
        (ARM, "CPU implementer 0x41, CPU variant 0x3, CPU part 0xd0c, CPU revision 1"),
    ],
)
def test_a_processor_is_recognised_by_its_kind(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)

    assert machine.processor(tmp_path) == name


def test_a_processor_has_a_name_on_every_system(tmp_path: Path) -> None:
    assert machine.processor(tmp_path).startswith(platform.machine())


def test_the_largest_cache_counts(tmp_path: Path) -> None:
    assert machine.largest_cache(tmp_path) == 0
    for index, size in enumerate(["32K", "32K", "1024K", "32768K"]):
        folder = tmp_path / f"devices/system/cpu/cpu0/cache/index{index}"
        folder.mkdir(parents=True)
        (folder / "size").write_text(size + "\n")
    (tmp_path / "devices/system/cpu/cpu0/cache/index0/size").write_text("unknown\n")

    assert machine.largest_cache(tmp_path) == 32 << 20
