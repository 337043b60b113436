"""The house: a module imports only from rooms above its own, and the heavy libraries from one room alone."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "znatok"
ROOMS = [
    {"messages", "errors", "records", "settings", "run_folder", "__init__"},
    {"data"},
    {"model"},
    {"answering"},
    {"exam"},
    {"training"},
    {"use"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(ROOMS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_a_module_imports_only_from_rooms_above_its_own():
    for path in MODULES:
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "znatok" and len(parts) > 1:
                assert LEVEL[parts[1]] <= LEVEL[room(path)], f"{path} imports {name}"


def test_only_the_model_room_imports_the_model_libraries():
    for path in MODULES:
        heavy = {name.split(".")[0] for name in imported(path)} & {"transformers", "peft", "bitsandbytes", "gguf"}
        assert not heavy or room(path) == "model", f"{path} imports {heavy}"


def test_the_data_room_does_not_need_torch():
    for path in (PACKAGE / "data").rglob("*.py"):
        assert "torch" not in {name.split(".")[0] for name in imported(path, top_level_only=True)}, path
