"""Build the one extension: every C file of csrc/, each isa's kernels with their own flags, objects in parallel.

Switches (environment): OXILLAMA_WERROR=1 makes warnings in csrc/ errors, OXILLAMA_SANITIZE=address adds ASan and UBSan,
OXILLAMA_SANITIZE=thread adds TSan, OXILLAMA_GENERIC=1 builds only the generic kernels (which compiles in
a fraction of the time), OXILLAMA_DEBUG=1 keeps assertions and symbols.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
AVX2 = ["-mavx2", "-mfma", "-mf16c", "-mbmi2"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]
# A file name's ending selects its compiler flags, and the processor families it is built for at all.
ISA_FLAGS: dict[str, dict[str, list[str]]] = {
    "x86_64": {
        "avx2": AVX2,
        "avx2vnni": [*AVX2, "-mavxvnni"],
        "avx512": AVX512,
        "avx512vnni": [*AVX512, "-mavx512vnni"],
        "avx512vbmi": [*AVX512, "-mavx512vnni", "-mavx512vbmi"],
        "avx512bf16": [*AVX512, "-mavx512bf16"],
    },
    "aarch64": {
        "neon": ["-march=armv8.2-a+dotprod+fp16"],
        "i8mm": ["-march=armv8.2-a+dotprod+fp16+i8mm"],
    },
}
ALL_ISAS = {isa for table in ISA_FLAGS.values() for isa in table}
SANITIZERS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}
GENERIC_ONLY = os.environ.get("OXILLAMA_GENERIC") == "1"


def machine() -> str:
    """The target processor family. _PYTHON_HOST_PLATFORM names it for a cross build, ARCHFLAGS on macOS."""
    name = sysconfig.get_platform().rpartition("-")[2]
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name.lower(), name.lower())


def isa_of(source: str) -> str | None:
    stem = Path(source).stem
    tail = stem.rpartition("_")[2]
    return tail if tail in ALL_ISAS else None


def c_sources() -> list[str]:
    here = {} if GENERIC_ONLY else ISA_FLAGS.get(machine(), {})
    found = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.c") if "fuzz" not in p.parts)
    return [s for s in found if isa_of(s) is None or isa_of(s) in here]


class ParallelBuild(build_ext):
    """build_ext that gives each C file its own flags and compiles as many at once as there are cores."""

    def run(self) -> None:
        if sys.platform == "darwin" and sysconfig.get_platform().endswith("universal2"):
            raise SystemExit(f"each architecture has its own kernels: set ARCHFLAGS='-arch {platform.machine()}'")
        super().run()

    def get_ext_filename(self, fullname: str) -> str:
        """The file name that the target's interpreter looks for; a cross build's differs from this machine's."""
        return super().get_ext_filename(fullname).replace(f"-{platform.machine()}-linux", f"-{machine()}-linux")

    def build_extension(self, ext: Extension) -> None:
        compile_one = self.compiler.compile
        own = os.environ.get("OXILLAMA_WERROR") == "1"

        def flags(source: str) -> list[str]:
            if "csrc" not in Path(source).parts:
                return ["-Wno-unused-function"]
            isa = isa_of(source)
            strict = ["-Wall", "-Wextra", *(["-Werror"] if own else [])]
            if os.environ.get("OXILLAMA_SANITIZE"):
                strict.append("-fno-wrapv")  # Python's flags define the overflow that UBSan should find
            return [*strict, *(ISA_FLAGS[machine()][isa] if isa else [])]

        def compile_all(sources, output_dir=None, macros=None, include_dirs=None, debug=0,
                        extra_preargs=None, extra_postargs=None, depends=None):
            for source in sources:
                (Path(output_dir or ".") / source).parent.mkdir(parents=True, exist_ok=True)

            def job(source: str) -> list[str]:
                post = [*(extra_postargs or []), *flags(source)]
                return compile_one([source], output_dir, macros, include_dirs, debug, extra_preargs, post, depends)

            with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
                return [obj for objs in workers.map(job, sources) for obj in objs]

        self.compiler.compile = compile_all
        super().build_extension(ext)


def extension() -> Extension:
    compile_args = ["-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
    compile_args += ["-fvisibility=hidden", "-pthread"]
    link_args = ["-pthread"]
    macros: list[tuple[str, str | None]] = [("_GNU_SOURCE", None)]
    if GENERIC_ONLY:
        macros.append(("OXI_GENERIC_ONLY", None))
    sanitizer = os.environ.get("OXILLAMA_SANITIZE")
    if sanitizer:
        if sanitizer not in SANITIZERS:
            raise SystemExit(f"OXILLAMA_SANITIZE={sanitizer}: {' or '.join(SANITIZERS)} is known")
        # With the release build's inlining and unrolling, instrumented code would take ten times as long to compile.
        compile_args += ["-O1", SANITIZERS[sanitizer], "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"]
        link_args += [SANITIZERS[sanitizer]]
    if os.environ.get("OXILLAMA_DEBUG") == "1":
        compile_args += ["-g", "-UNDEBUG"]
    else:
        compile_args += [] if sanitizer else ["-g0"]
        macros.append(("NDEBUG", None))
    if "linux" in sysconfig.get_platform():
        link_args += ["-lm"]
    headers = [str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.h")]
    return Extension(
        "oxillama.core._core",
        sources=["oxillama/core/_core.pyx", *c_sources()],
        depends=[*headers, *(str(p.relative_to(ROOT)) for p in (ROOT / "oxillama/core").rglob("*.px?"))],
        include_dirs=["csrc"],
        define_macros=macros,
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


def cythonized() -> list[Extension]:
    from Cython.Build import cythonize

    directives = {"embedsignature": True}
    return cythonize([extension()], language_level=3, build_dir="build/cython", compiler_directives=directives)


setup(ext_modules=cythonized(), cmdclass={"build_ext": ParallelBuild})
