"""The shape of the project, held: which way imports point, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "ultralytics", "sam2", "segment_anything", "open_clip", "torchvision"}

# Each layer may import itself and the layers above it in this list.
LAYERS = [
    {"errors", "settings", "scripts"},
    {"annotations", "access", "cards", "failures"},
    {"answers"},
    {"adapters", "geometry", "pixels", "gate", "devices", "weights"},
    {"images", "cutouts"},
    {
        "formats",
        "project",
        "registry",
        "checkpoints",
        "embeddings",
        "continuations",
        "hub",
        "intake",
        "scenes",
        "vectors",
    },
    {"pool"},
    {"studio"},
    {"operations"},
    {"canvas", "gallery", "media", "opening", "rest"},
    {"app"},
    {"commands"},
    {"__main__"},
]


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer_of(name: str) -> int:
    for index, layer in enumerate(LAYERS):
        if name in layer:
            return index
    raise AssertionError(f"studio/{name} has no place in LAYERS: give it one")


def test_the_studio_imports_no_tab_and_no_model_file():
    for path in modules("studio"):
        wrong = {m for m in imports(path) if m.split(".")[0] in ("tabs", "models", "spaces", "benchmarks")}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_imports_inside_the_studio_point_one_way():
    for path in modules("studio"):
        own = path.relative_to(ROOT / "studio").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for module in imports(path):
            parts = module.split(".")
            if parts[0] != "studio" or len(parts) < 2 or not _is_module(parts[1]):
                continue
            assert layer_of(parts[1]) <= layer_of(own), f"{path.relative_to(ROOT)} imports {module}"


def _is_module(name: str) -> bool:
    return (ROOT / "studio" / f"{name}.py").exists() or (ROOT / "studio" / name).is_dir()


@pytest.mark.parametrize("folder", ["tabs", "models"])
def test_tabs_and_models_import_neither_each_other_nor_one_another(folder: str):
    for path in modules(folder):
        for module in imports(path):
            parts = module.split(".")
            private = len(parts) > 1 and parts[1].startswith("_")
            if parts[0] in ("tabs", "models"):
                assert parts[0] == folder and private, f"{path.relative_to(ROOT)} imports {module}"


def test_tabs_know_nothing_of_torch():
    for path in modules("tabs"):
        wrong = {m for m in imports(path) if m.split(".")[0] in HEAVY}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_operations_know_nothing_of_gradio():
    for folder in ("operations", "project", "formats", "intake"):
        for path in modules(f"studio/{folder}"):
            wrong = {m for m in imports(path) if m.split(".")[0] in ("gradio", "fastapi")}
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_model_files_import_nothing_heavy_at_the_top():
    for path in modules("models"):
        if path.parent.name.startswith("_"):
            continue
        wrong = {
            m for m in imports(path, top_level_only=True) if m.split(".")[0] in HEAVY | {"cv2", "skimage"}
        }
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong} before it is asked to load"


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import studio", HEAVY | {"gradio", "cv2", "sqlalchemy"}),
        ("import studio.studio", HEAVY | {"gradio"}),
        ("import studio.app", HEAVY),
    ],
)
def test_importing_is_light(statement: str, forbidden: set[str]):
    code = f"import sys; {statement}; print(*[m for m in {sorted(forbidden)!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []


def test_no_module_grows_past_its_concept():
    for folder in ("studio", "tabs", "models"):
        for path in [*modules(folder), *(ROOT / folder).rglob("*.js")]:
            lines = len(path.read_text("utf-8").splitlines())
            assert lines <= 450, f"{path.relative_to(ROOT)} has {lines} lines"


def test_an_installed_studio_has_every_file_that_the_checkout_has():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    for folder in ("studio", "tabs", "models", "assets"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert any(path.match(p) for p in patterns), f"{path.relative_to(ROOT)} is not packaged"
