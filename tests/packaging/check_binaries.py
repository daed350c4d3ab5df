"""Check that Linux wheels hold code for the machine their tags name: python check_binaries.py WHEEL..."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

# e_machine of an ELF header: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}


def check(wheel: Path) -> list[str]:
    """Everything that is wrong with the extension modules of one wheel."""
    _, _, python, _, platform = wheel.stem.split("-")
    machine = next((name for name in ELF_MACHINES if platform.endswith(name)), None)
    if "linux" not in platform or machine is None:
        return [f"{platform} is not a platform this script knows"]
    wrong = []
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.endswith(".so")]
        if len(modules) != 1:
            wrong.append(f"one extension module expected, {modules} found")
        for name in modules:
            ending = f".cpython-{python.removeprefix('cp')}-{machine}-linux-gnu.so"
            if not name.endswith(ending):
                wrong.append(f"{name} does not end in {ending}: the interpreter will not find it")
            header = archive.read(name)[:20]
            found = int.from_bytes(header[18:20], "little")
            if header[:4] != b"\x7fELF" or found != ELF_MACHINES[machine]:
                wrong.append(f"{name} is not an ELF file for {machine} (machine {found})")
    return wrong


if __name__ == "__main__":
    complaints = [f"{path}: {complaint}" for path in sys.argv[1:] for complaint in check(Path(path))]
    print("\n".join(complaints) or "the extension modules are for the machines that the wheels name")
    sys.exit(bool(complaints))
