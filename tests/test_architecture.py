"""The rules of the house: who imports whom, what needs no TensorFlow, how long things get."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "deepfake_detector"
INIT = PACKAGE / "__init__.py"  # above the rooms: it imports `startup`
SCRIPTS = {
    *("processing", "data_pipeline", "model", "train", "evaluate", "predict", "sample_data", "app")
}
# From the lowest floor to the highest: a room may import what lies below it, and itself.
FLOORS = [
    {"startup"},
    {"console"},
    {"files"},
    {"images", "pages", "parallel"},
    {"decoding"},
    {"videos", "networks", "synthetic"},
    {"face_dataset"},
    {"faces", "clips"},
    {"scoring"},
    {"training", "evaluation", "verdicts"},
]
MAX_LINES_IN_A_FILE, MAX_LINES_IN_A_FUNCTION, MAX_FILES_IN_A_ROOM = 350, 60, 10
MAX_LINES = 14_921  # of scripts and package together: lower it when the sum falls, never raise it
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / f"{script}.py" for script in SCRIPTS)])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_the_house_only_gets_smaller():
    """Files of scripts and package have at most as many lines as the last time that it shrank."""
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES)
    assert lines <= MAX_LINES


def test_every_room_has_a_floor():
    rooms = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    rooms |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set().union(*FLOORS)


@pytest.mark.parametrize("path", sorted({*PACKAGE.rglob("*.py")} - {INIT}), ids=name_of)
def test_rooms_import_downwards_only_and_no_script(path):
    own_room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports_of(path):
        first, *rest = module.split(".")
        assert first not in SCRIPTS, f"a room imports the script {first}"
        if first == "deepfake_detector" and rest and rest != ["__version__"]:
            room = rest[0]
            assert room == own_room or floor_of(room) < floor_of(own_room), module


def test_extraction_and_the_readers_of_predict_need_no_tensorflow():
    script = "import sys, processing, predict; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(SCRIPTS - {"data_pipeline", "model"}))
def test_help_reads_as_the_docstring_and_needs_no_tensorflow(script):
    """TensorFlow takes seconds to start; --help must not wait for it."""
    command = [sys.executable, "-X", "importtime", f"{script}.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert f"python {script}.py" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"tensorflow", "keras", "matplotlib.figure", "sklearn"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_can_be_read_in_one_sitting(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= MAX_LINES_IN_A_FILE
    assert ast.get_docstring(tree), "a file says what comes in and what goes out"
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    for function in functions:
        if "argument" in function.name:  # a table of command-line arguments
            continue
        lines = function.end_lineno - function.lineno + 1
        lines -= len((ast.get_docstring(function) or "").splitlines())
        assert lines <= MAX_LINES_IN_A_FUNCTION, f"{function.name} has {lines} lines"


@pytest.mark.parametrize("room", sorted({path.parent for path in PACKAGE.glob("*/*.py")}))
def test_a_room_has_few_files_and_says_what_it_is_for(room):
    assert len(list(room.glob("*.py"))) - 1 <= MAX_FILES_IN_A_ROOM
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert docstring and "Open `" in docstring
