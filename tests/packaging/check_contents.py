"""Check what a wheel and a source distribution hold: python check_contents.py FOLDER"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from pathlib import Path

WHEEL_MUST = (
    r"oxillama/core/_core\.[^/]*\.so",
    r"oxillama/core/_core\.pyi",
    r"oxillama/py\.typed",
    r"oxillama/cli/app\.py",
    r"oxillama/embedded/oxillama-demo\.gguf",
    r"oxillama/embedded/MODEL_CARD\.md",
    r"oxillama/server/apis/__init__\.py",
    r"oxillama/server/site/ui/index\.html",
    r"oxillama/server/site/ui/docs\.html",
    r"oxillama/server/site/ui/main\.js",
    r"oxillama/server/site/ui/style/base\.css",
    r"oxillama/server/site/ui/icon\.svg",
    r"oxillama/server/site/ui/vendor/marked/marked\.esm\.js",
    r"oxillama/server/site/ui/vendor/marked/LICENSE",
    r"oxillama/server/site/ui/vendor/dompurify/purify\.es\.mjs",
    r"oxillama/server/site/ui/vendor/dompurify/LICENSE",
    r"oxillama-[^/]*\.dist-info/entry_points\.txt",
    r"oxillama-[^/]*\.dist-info/licenses/LICENSE",
)
WHEEL_MUST_NOT = (r".*\.(c|h|pyx|pxd|pxi|o)", r"(csrc|tests|benchmarks|docs)/.*", r".*__pycache__.*")
WHEEL_BUDGET = 15_000_000  # bytes
SDIST_MUST = (
    r"csrc/oxillama\.h",
    r"csrc/kernels/kernels\.h",
    r"oxillama/core/_core\.pyx",
    r"setup\.py",
    r"README\.md",
    r"LICENSE",
    r"oxillama/embedded/oxillama-demo\.gguf",
    r"oxillama/server/site/ui/index\.html",
    r"oxillama/server/site/ui/vendor/marked/LICENSE",
    r"tests/conftest\.py",
    r"benchmarks/decode\.py",
    r"\.ci/run",
)
SDIST_MUST_NOT = (r".*\.(so|o)", r"(?!oxillama/embedded/).*\.gguf", r".*__pycache__.*", r"build/.*")


def complaints(names: list[str], must: tuple[str, ...], must_not: tuple[str, ...]) -> list[str]:
    """What is missing and what should not be there."""
    missing = [f"nothing matches {p}" for p in must if not any(re.fullmatch(p, n) for n in names)]
    return missing + [f"{n} should not be there" for n in names if any(re.fullmatch(p, n) for p in must_not)]


def check(folder: Path) -> list[str]:
    """Everything that is wrong with the one wheel and the one sdist in `folder`."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        found = complaints([n for n in archive.namelist() if not n.endswith("/")], WHEEL_MUST, WHEEL_MUST_NOT)
    if wheel.stat().st_size > WHEEL_BUDGET:
        found.append(f"its {wheel.stat().st_size} bytes are more than {WHEEL_BUDGET}")
    with tarfile.open(sdist) as archive:
        names = [m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()]
    return [f"{wheel.name}: {c}" for c in found] + [
        f"{sdist.name}: {c}" for c in complaints(names, SDIST_MUST, SDIST_MUST_NOT)
    ]


if __name__ == "__main__":
    wrong = check(Path(sys.argv[1]))
    print("\n".join(wrong) or "the wheel and the sdist hold what they should")
    sys.exit(bool(wrong))
