"""Files that are not what they should be, made by a fuzzer that watches which code they reach.

``python tests/trust/fuzz.py [--minutes 2] [reader ...]``: every reader of files gets inputs that
start from real files. Each must be read or refused in the package's own words; anything else is
a crash, is printed, and is kept in build/fuzz. Uses atheris (coverage-guided); where that cannot
be installed, blind mutations.
"""

import argparse
import functools
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "engine")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from pytyche_engine.contracts import reading  # noqa: E402
from pytyche_engine.contracts.errors import PytycheError  # noqa: E402

CRASHES = HERE.parents[1] / "build" / "fuzz"
Reader = Callable[[bytes, Path], object]


def plan_json(content: bytes, folder: Path) -> object:
    from pytyche_engine.contracts.plans import plan_from_dict
    from pytyche_engine.store.files import UNREADABLE, damaged

    file = folder / "plan.json"
    file.write_bytes(content)
    try:
        return plan_from_dict(reading.read_json(file))
    except UNREADABLE as error:  # what `ExperimentFolder.read` does
        raise damaged(file, error) from error


def experiment_json(content: bytes, folder: Path) -> object:
    """Content whose checksum is right: a hostile file's is."""
    from pytyche_engine.store.files import write_sealed
    from pytyche_engine.store.folder import ExperimentFolder

    try:
        value = json.loads(content)
        write_sealed(folder / "experiment.json", value)
    except (ValueError, RecursionError):
        (folder / "experiment.json").write_bytes(content)
    return ExperimentFolder(folder).read()


def artifact_json(content: bytes, folder: Path) -> object:
    from pytyche_engine.calibration import CalibrationArtifact

    (folder / "artifact.json").write_bytes(content)
    results = folder / "results.parquet"
    if not results.exists():
        pd.DataFrame({"quantity": ["ate"]}).to_parquet(results)
    return CalibrationArtifact.load(folder)


def arrays_npz(content: bytes, folder: Path) -> object:
    file = folder / "posterior.npz"
    file.write_bytes(content)
    return reading.read_arrays(file)


def table_parquet(content: bytes, folder: Path) -> object:
    file = folder / "results.parquet"
    file.write_bytes(content)
    return reading.read_frame(file)


def upload_parquet(content: bytes, _folder: Path) -> object:
    from pytyche_engine.store.visitor_rows import read_parquet

    return read_parquet(content)


def recipe_text(content: bytes, _folder: Path) -> object:
    from pytyche_lab import recipe

    return recipe.make(recipe.read(content.decode(errors="replace")), "fuzzed")


def rule_text(content: bytes, _folder: Path) -> object:
    from pytyche_engine.contracts import Rule

    return Rule.parse(content.decode(errors="replace"))


READERS: dict[str, Reader] = {
    one.__name__: one
    for one in (
        plan_json, experiment_json, artifact_json, arrays_npz, table_parquet, upload_parquet,
        recipe_text, rule_text,
    )
}  # fmt: skip


@functools.cache
def seeds(name: str) -> list[bytes]:
    """Real files, to start from."""
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(temporary)
        if name == "plan_json":
            from door_cases import plan

            from pytyche_engine.contracts import hypothesis_cell
            from pytyche_engine.contracts.plans import plan_to_dict

            more = plan().with_cell(hypothesis_cell("h", "age > 4", ["a"], 0.1), "explore")
            return [json.dumps(plan_to_dict(one)).encode() for one in (plan(), more)]
        if name == "experiment_json":
            from experiment_cases import experiment

            exp = experiment(path=folder / "promo")
            envelope = reading.read_json(exp.folder / "experiment.json")
            return [json.dumps(envelope["content"]).encode()]
        if name == "artifact_json":
            from calibration_cases import artifact

            artifact().save(folder)
            return [(folder / "artifact.json").read_bytes()]
        if name == "arrays_npz":
            np.savez_compressed(folder / "a.npz", a=np.arange(12.0).reshape(3, 4), b=np.array("x"))
            np.savez(folder / "b.npz", a=np.zeros(2, np.float32))
            return [(folder / f"{one}.npz").read_bytes() for one in "ab"]
        if name.endswith("parquet"):
            rows = {"variant": ["control", "badge"] * 4, "value": [0.0, 1.0] * 4,
                    "visitor_id": list("abcdefgh")}  # fmt: skip
            pd.DataFrame(rows).to_parquet(folder / "t.parquet")
            return [(folder / "t.parquet").read_bytes()]
        if name == "recipe_text":
            return [
                b"treatments: [control, a]\nschedule: {initial: 500, growth: 3, rounds: 2}\n"
                b"source: {template: sparse_benefit, effect_scale: 0.1, seed: 9}\n",
                b'treatments = ["control", "a"]\nschedule = [500, 700]\n[columns]\narm = "x"\n',
            ]
        return [b"browse_depth > 4 AND channel in {direct, email, (missing)}"]


def crashes(name: str, content: bytes) -> str | None:
    """What went wrong with an input; None where it was read or refused in words."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            READERS[name](content, Path(folder))
        except PytycheError:
            return None
        except Exception as error:  # noqa: BLE001 - every other one is a finding
            return f"{type(error).__name__}: {str(error)[:200]}"
    return None


def mutated(content: bytes, luck: random.Random) -> bytes:
    """The input with some bytes, numbers or pieces changed."""
    out = bytearray(content)
    for _ in range(luck.randint(1, 6)):
        at = luck.randrange(len(out) + 1)
        match luck.randrange(6):
            case 0 if out:
                out[at % len(out)] = luck.randrange(256)
            case 1:
                del out[at : at + luck.randint(1, 20)]
            case 2:
                out[at:at] = out[luck.randrange(len(out) + 1) :][: luck.randint(1, 40)]
            case 3:
                out[at:at] = luck.choice(TOKENS)
            case 4:
                digits = [i for i, byte in enumerate(out) if 48 <= byte <= 57]
                if digits:
                    where = luck.choice(digits)
                    out[where : where + 1] = luck.choice(TOKENS)
            case 5 if out:
                out[at % len(out)] ^= 1 << luck.randrange(8)
    return bytes(out)


TOKENS = (
    b"null", b"-1", b"1e999", b"NaN", b"{}", b"[]", b'""', b"[[[[[[[[", b"9" * 30, b"true", b"0.5",
    b"../../etc/passwd", b"\x00", b"\xff\xff\xff\xff",
    b"!!python/object:os.system", b"&a *a", b"\xc3\xa9",
)  # fmt: skip


def blind(name: str, n: int, seed: int) -> list[tuple[str, bytes]]:
    """Crashes of n blind mutations of the real files."""
    luck, start, found = random.Random(seed), seeds(name), []  # noqa: S311 - for tests
    for _ in range(n):
        content = mutated(luck.choice(start), luck)
        if said := crashes(name, content):
            found.append((said, content))
    return found


@functools.cache
def bombs() -> dict[str, tuple[str, bytes]]:
    """Small files that would fill the memory, or run something."""
    made: dict[str, tuple[str, bytes]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "bomb"
        header = b"\x93NUMPY\x01\x00v\x00" + b"%-117s\n"
        for name, shape, size in (("a zip bomb", "(200000000,)", 1_600_000_000 // 8),
                                  ("a header that lies", "(1000000000000,)", 8)):  # fmt: skip
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                says = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
                head = header % says.encode()
                archive.writestr("a.npy", head + bytes(size))
            made[name] = ("arrays_npz", file.read_bytes())
        np.savez(file.with_suffix(".npz"), a=np.array([{"run": "me"}], dtype=object))
        made["a pickle in an array"] = ("arrays_npz", file.with_suffix(".npz").read_bytes())
        many = pd.DataFrame({"value": np.zeros(30_000_000, np.int8)})
        many.to_parquet(file)
        made["a table of repeated values"] = ("table_parquet", file.read_bytes())
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9 if i else ['lol'])}]" for i in range(9)]
    made["a billion laughs"] = ("recipe_text", "\n".join(levels).encode())
    made["YAML that runs something"] = ("recipe_text", b"a: !!python/object/apply:os.system [ls]")
    made["nested beyond the stack"] = ("plan_json", b"[" * 200_000)
    made["an artifact nested beyond the stack"] = ("artifact_json", b"[" * 200_000)
    return made


def atheris_child(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz one reader in this process, which atheris ends."""
    import atheris

    with atheris.instrument_imports(include=["pytyche_engine.contracts", "pytyche_engine.store",
                                             "pytyche_engine.calibration", "pytyche_lab.recipe",
                                             "yaml", "json", "numpy.lib", "zipfile"]):  # fmt: skip
        # What a reader imports when it first reads, it imports here: not in its share of the time.
        for content in seeds(name):
            crashes(name, content)
    found = 0
    CRASHES.mkdir(parents=True, exist_ok=True)

    def one(content: bytes) -> None:
        nonlocal found
        if said := crashes(name, content):
            found += 1
            (CRASHES / f"{name}-{abs(hash(said)) % 10**8}").write_bytes(content)
            print(f"CRASH {name}: {said}", flush=True)

    options = [f"-max_total_time={seconds}", "-max_len=20000", "-print_final_stats=1",
               "-rss_limit_mb=4096", f"-artifact_prefix={CRASHES}/", str(corpus)]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def guided(name: str, seconds: int) -> tuple[int, int]:
    """Inputs tried and crashes of a coverage-guided run in a process of its own."""
    with tempfile.TemporaryDirectory() as corpus:
        for i, content in enumerate(seeds(name)):
            (Path(corpus) / str(i)).write_bytes(content)
        command = [sys.executable, __file__, "--child", corpus, "--seconds", str(seconds), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    units = [line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line]
    lines = sorted({line for line in said.splitlines() if line.startswith("CRASH")})
    print("\n".join(lines) if lines else "", end="\n" if lines else "")
    if not units:
        print(said[-2000:])
        return 0, 1
    return int(units[0]), len(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", default=[*READERS])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--child")
    parser.add_argument("--seconds", type=int)
    asked = parser.parse_args()
    if asked.child:
        atheris_child(asked.readers[0], asked.seconds, Path(asked.child))
        return
    with tempfile.TemporaryDirectory() as data:
        # Recipes make experiments, which the registry of whoever fuzzes must not have.
        os.environ["JUPYTER_DATA_DIR"] = data
        os.environ.pop("PYTYCHE_REGISTRY", None)
        bad = fuzz(asked.readers, asked.minutes)
    sys.exit(bad > 0)


def fuzz(readers: list[str], minutes: float) -> int:
    """Fuzz each reader for its part of the time; how many crashes there were."""
    try:
        import atheris  # noqa: F401

        has_atheris = True
    except ImportError:
        has_atheris = False
        print("fuzz: atheris is not installed: blind mutations instead (pip install atheris)")
    seconds, tried, bad = max(int(60 * minutes / len(readers)), 1), 0, 0
    for name in readers:
        if has_atheris:
            n, found = guided(name, seconds)
        else:
            n, found = 300 * seconds, len(set(blind(name, 300 * seconds, random.randrange(10**6))))  # noqa: S311
        tried, bad = tried + n, bad + found
        print(f"fuzz: {name}: {n:,} inputs, {found} crashes", flush=True)
    print(f"fuzz: {tried:,} inputs, {bad} crashes")
    return bad


if __name__ == "__main__":
    main()
