"""Checkpoint files of one's own: what is let in, what never runs, what is left when things go wrong."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from studio.adapters import CHECKPOINT_FILE, CheckpointKind
from studio.annotations import Point, Prompt
from studio.checkpoints import NOTE, clean_title
from studio.errors import BadInput, Cancelled, Conflict, NotAllowed, NotFound, StudioError
from studio.operations import checkpoints
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import DiscSegmenter, disc_card
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
LOCAL = "local"


def disc_kind(load: Callable = lambda folder, device, options: DiscSegmenter()) -> CheckpointKind:
    """A kind whose files hold a number under "disc"; below 0 it cannot be used."""

    def examine(saved):
        if not isinstance(saved, dict) or "disc" not in saved:
            return None
        if saved["disc"] < 0:
            raise BadInput("Its disc is smaller than nothing.")
        return f"of {saved['disc']}"

    return CheckpointKind(
        "disc", "discs (.pth)", examine, lambda variant, size: disc_card(title=f"Disc {variant}", load=load)
    )


def make_studio(folder: Path, *, kind: CheckpointKind | None = None, **settings) -> Studio:
    registry = Registry([disc_card(card_id="other", rank=90)])
    registry.kinds["disc"] = kind or disc_kind()
    return Studio(Settings(folder, sample=False, **settings), registry=registry)


@pytest.fixture
def own(tmp_path: Path):
    made = make_studio(tmp_path / "data")
    yield made
    made.close()


def saved(folder: Path, value=5, name: str = "mine.pth") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"disc": value, "weights": torch.arange(1000.0)}, folder / name)
    return folder / name


def left_in(studio: Studio) -> list[str]:
    folder = studio.settings.data / "checkpoints"
    return sorted(p.name for p in folder.glob("*") if p.name != ".lock") if folder.exists() else []


# ---- in and out -------------------------------------------------------------------------------------


def test_a_file_that_is_known_becomes_a_model(own, tmp_path):
    told = []
    card = checkpoints.add(
        own, LOCAL, saved(tmp_path), title="My disc", progress=lambda done, total: told.append((done, total))
    )
    assert own.registry.card(card.id) is card and card.title == "My disc"
    assert (card.family, card.prompts, card.roles) == ("fake", ("point", "box", "mask"), ("segmenter",))
    assert card.licence == "as its authors say" and card.download is None and not card.demo
    assert own.hub.state(card) == "no download"
    assert (Path(own.hub.folder(card)) / CHECKPOINT_FILE).read_bytes() == (tmp_path / "mine.pth").read_bytes()
    assert told[-1] == (card.folder.joinpath(CHECKPOINT_FILE).stat().st_size,) * 2
    note = json.loads((card.folder / NOTE).read_text())
    assert note["variant"] == "of 5" and note["kind"] == "disc" and len(note["sha256"]) == 64
    embedding = own.pool.run(card.id, lambda model: model.embed(picture(60, 90)))
    (found, *_) = own.pool.run(card.id, lambda model: model.segment(embedding, Prompt((Point(40, 30),))))
    assert found.mask.area > 0


def test_the_next_start_finds_it_again_and_reading_it_loads_nothing_heavy(own, tmp_path):
    card = checkpoints.add(own, LOCAL, saved(tmp_path))
    assert make_studio(tmp_path / "data").registry.card(card.id).title == card.title == "Disc of 5: mine"
    code = (
        "import sys; from pathlib import Path; from studio.registry import Registry;"
        "from studio.checkpoints import Checkpoints;"
        "r = Registry.discover(folder=Path('no-such-folder'), entry_points=None);"
        f"c = Checkpoints(Path({str(tmp_path / 'data' / 'checkpoints')!r}), r, 10**9);"
        "assert len(c.read()) == 1 and c.accepted(); c.offer();"
        "print([m for m in ('torch', 'transformers', 'gradio') if m in sys.modules], list(r.failures.values()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] [") and "not known here any more" in done.stdout


def test_the_same_file_is_not_taken_in_twice(own, tmp_path):
    checkpoints.add(own, LOCAL, saved(tmp_path), title="First")
    (tmp_path / "again.pth").write_bytes((tmp_path / "mine.pth").read_bytes())
    with pytest.raises(Conflict, match="again.pth was added before, as “First”"):
        checkpoints.add(own, LOCAL, tmp_path / "again.pth")
    assert len(left_in(own)) == 1


def test_a_removed_one_is_gone_from_disk_list_and_memory(own, tmp_path):
    card = checkpoints.add(own, LOCAL, saved(tmp_path))
    key = (card.id, card.version, "digest")
    own.embeddings.get(key, lambda: DiscSegmenter().embed(picture(9, 9)))
    own.pool.run(card.id, lambda model: None)
    assert [model.id for model in own.pool.loaded()] == [card.id]
    assert checkpoints.remove(own, LOCAL, card.id) == card.title
    assert own.pool.loaded() == [] and left_in(own) == [] and own.embeddings.stats.items == 0
    with pytest.raises(NotFound):
        own.registry.card(card.id)
    assert checkpoints.added(own) == []
    assert checkpoints.add(own, LOCAL, tmp_path / "mine.pth").id == card.id  # and may come back


def test_one_that_is_in_use_stays(own, tmp_path):
    card = checkpoints.add(own, LOCAL, saved(tmp_path))
    with own.pool.use(card.id), pytest.raises(Conflict, match="in use"):
        checkpoints.remove(own, LOCAL, card.id)
    assert own.registry.card(card.id) is card and len(left_in(own)) == 1


def test_only_added_models_can_be_removed(own):
    with pytest.raises(NotFound):
        checkpoints.remove(own, LOCAL, "other")
    assert own.registry.card("other")
    with pytest.raises(NotFound):
        checkpoints.remove(own, LOCAL, "../other")


def test_visitors_of_a_shared_studio_can_neither_add_nor_remove(tmp_path):
    shared = make_studio(tmp_path / "data", people="each")
    for person in (LOCAL, "0" * 32, ""):
        with pytest.raises(NotAllowed, match="whoever runs this studio"):
            checkpoints.add(shared, person, saved(tmp_path))
        with pytest.raises(NotAllowed, match="whoever runs this studio"):
            checkpoints.remove(shared, person, "other")
    assert left_in(shared) == []
    shared.close()


@pytest.mark.parametrize(("people", "there"), [("one", True), ("each", False)])
def test_the_page_has_the_panel_for_whoever_runs_the_studio_only(tmp_path, people, there):
    from studio.app import build

    studio = make_studio(tmp_path / "data", people=people)
    names = {getattr(block, "elem_id", None) for block in build(studio).blocks.values()}
    assert ("own-file" in names) is there and "models-all" in names
    studio.close()


def test_one_added_at_the_command_line_is_offered_when_the_models_are_looked_at(own, tmp_path):
    other = make_studio(tmp_path / "data")
    card = checkpoints.add(other, LOCAL, saved(tmp_path))
    other.close()
    own.checkpoints.offer()
    assert own.registry.card(card.id).title == card.title


# ---- files that are not what they should be ---------------------------------------------------------


class Runs:
    """Pickled, it asks whoever opens it to make a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def as_torch_writes(path: Path, content) -> None:
    torch.save(content, path)


def as_torch_wrote(path: Path, content) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def as_a_bare_pickle(path: Path, content) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("write", [as_torch_writes, as_torch_wrote, as_a_bare_pickle])
@pytest.mark.parametrize("where", ["alone", "beside weights"])
def test_a_pickle_that_would_run_something_is_refused_by_name_and_runs_nothing(own, tmp_path, write, where):
    trap = tmp_path / "trapped"
    content = Runs(trap) if where == "alone" else {"disc": 5, "extra": [Runs(trap)]}
    write(tmp_path / "evil.pth", content)
    with pytest.raises(
        BadInput, match=r"evil.pth (was not opened: it asks to run (posix|nt|os)\.mkdir|is no checkpoint)"
    ):
        checkpoints.add(own, LOCAL, tmp_path / "evil.pth")
    assert not trap.exists() and left_in(own) == []
    if write is as_torch_writes:
        with pytest.raises(BadInput, match="mkdir"):
            checkpoints.add(own, LOCAL, tmp_path / "evil.pth")
        torch.load(tmp_path / "evil.pth", weights_only=False)
        assert trap.exists(), "the trap does not work, so nothing was shown"


def test_what_is_allowed_elsewhere_in_the_process_is_run_by_nobody(own, tmp_path):
    """Other libraries let classes of theirs through torch's reader; a call stays refused."""
    trap = tmp_path / "trapped"
    as_torch_writes(tmp_path / "evil.pth", {"disc": 5, "extra": Runs(trap)})
    with torch.serialization.safe_globals([DiscSegmenter]), pytest.raises(BadInput, match="mkdir"):
        checkpoints.add(own, LOCAL, tmp_path / "evil.pth")
    assert not trap.exists()


def packed(path: Path) -> None:
    whole = io.BytesIO()
    torch.save({"disc": 5}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))


def half_of_one(path: Path) -> None:
    torch.save({"disc": 5, "weights": torch.arange(9999.0)}, path)
    path.write_bytes(path.read_bytes()[:20_000])


DAMAGED = {
    "nothing": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_text("these are weights, believe me"),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 50),
    "a page of a site": lambda path: path.write_text("<!doctype html><title>Sign in</title>"),
    "a packed zip": packed,
    "half of one": half_of_one,
    "another zip": lambda path: zipfile.ZipFile(path, "w").writestr("a/b.txt", "x"),
    "a tensor": lambda path: torch.save(torch.zeros(3), path),
    "other weights": lambda path: torch.save({"layer.weight": torch.zeros(3, 3)}, path),
    "keys that are no text": lambda path: torch.save({3: torch.zeros(3), (1, 2): 4}, path),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_file_of_no_kind_is_refused_with_a_sentence_and_leaves_nothing(own, tmp_path, kind):
    DAMAGED[kind](tmp_path / "x.pth")
    with pytest.raises(BadInput, match=r"x\.pth (is|was|cannot)") as caught:
        checkpoints.add(own, LOCAL, tmp_path / "x.pth")
    assert "Traceback" not in str(caught.value) and len(str(caught.value)) < 400
    assert left_in(own) == []
    if kind in ("a tensor", "other weights"):
        assert "Known are: discs (.pth)." in str(caught.value)


def test_a_file_of_a_known_kind_that_cannot_be_used_says_why(own, tmp_path):
    with pytest.raises(BadInput, match="mine.pth cannot be used. Its disc is smaller than nothing."):
        checkpoints.add(own, LOCAL, saved(tmp_path, -1))
    assert left_in(own) == []


def test_the_pickle_of_a_description_may_not_be_endless(own, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + b"}" * (65 << 20))
        archive.writestr("x/version", "3")
    with pytest.raises(BadInput, match="describes more than any network needs"):
        checkpoints.add(own, LOCAL, tmp_path / "x.pth")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    small = make_studio(tmp_path / "data", max_checkpoint_bytes=1000)
    with pytest.raises(BadInput, match="mine.pth has .* a checkpoint may have at most 1 kB here"):
        checkpoints.add(small, LOCAL, saved(tmp_path))
    assert left_in(small) == []
    small.close()


def test_a_full_disk_is_said(own, tmp_path, monkeypatch):
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(StudioError, match="100 B are free|0 kB are free"):
        checkpoints.add(own, LOCAL, saved(tmp_path))
    assert left_in(own) == []


def test_a_file_that_is_not_there_is_said(own, tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(BadInput, match="There is no file"):
            checkpoints.add(own, LOCAL, path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\sam.pth", "sam.pth"),
        ("<img src=x onerror=alert(1)>.pth", "img src=x onerror=alert(1) .pth"),
        ("a\nb\x00c\u202egnp.pth", "a b c gnp.pth"),
        ("x" * 500, "x" * 80),
        ("   ", ""),
        ("Größe 三.pth", "Größe 三.pth"),
    ],
)
def test_hostile_names_become_plain_titles(own, tmp_path, name, shown):
    assert clean_title(name) == shown
    card = checkpoints.add(own, LOCAL, saved(tmp_path), name=name, title=name)
    assert card.title == (shown or "Disc of 5: mine") and not set("<>\n\x00") & set(card.title)
    assert {p.name for p in card.folder.iterdir()} == {NOTE, CHECKPOINT_FILE}
    assert card.folder.parent == own.settings.data / "checkpoints"
    assert set(left_in(own)) == {card.folder.name}


# ---- stops and crashes ------------------------------------------------------------------------------


def test_a_stop_leaves_nothing(own, tmp_path):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        checkpoints.add(own, LOCAL, saved(tmp_path), cancel=cancel)
    assert left_in(own) == []


@pytest.mark.parametrize("moment", ["copying", "examining", "renaming"])
def test_a_crash_in_the_middle_leaves_no_model_and_its_rest_is_cleared_away(tmp_path, moment):
    """The process is killed for good: nothing of it can tidy up."""
    saved(tmp_path)
    code = f"""
import os
from pathlib import Path
import studio.checkpoints as c
from tests.test_checkpoints import make_studio
def die(*a, **k): os._exit(9)
moment = {moment!r}
if moment == "copying": c.os.fsync = die
if moment == "examining": c.open_weights = die
if moment == "renaming": c.os.replace = die
studio = make_studio(Path({str(tmp_path / "data")!r}))
studio.checkpoints.add(Path({str(tmp_path / "mine.pth")!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    studio = make_studio(tmp_path / "data")
    assert len(left_in(studio)) == 1 and left_in(studio)[0].startswith(".adding-")
    assert [card.id for card in studio.registry.cards()] == ["other"] and studio.registry.failures == {}
    card = checkpoints.add(studio, LOCAL, tmp_path / "mine.pth")
    assert left_in(studio) == [card.folder.name]
    studio.close()


def test_notes_that_are_not_sound_are_listed_and_stop_nothing(own, tmp_path):
    good = checkpoints.add(own, LOCAL, saved(tmp_path))
    folder = own.settings.data / "checkpoints"
    note = json.loads((good.folder / NOTE).read_text())
    spoiled = {
        "no json": "{",
        "a list": "[]",
        "a field less": json.dumps({k: v for k, v in note.items() if k != "title"}),
        "another file's": json.dumps(note),
        "wrong types": json.dumps({**note, "bytes": "many"}),
    }
    for number, text in enumerate(spoiled.values()):
        (folder / f"{number:032x}").mkdir()
        (folder / f"{number:032x}" / NOTE).write_text(text)
    (good.folder / CHECKPOINT_FILE).open("ab").write(b"more")
    again = make_studio(tmp_path / "data")
    assert [card.id for card in again.registry.cards()] == ["other"]
    assert len(again.registry.failures) == len(spoiled) + 1
    assert all("cannot be read" in reason for reason in again.registry.failures.values())
    again.close()


def test_where_removing_fails_the_model_is_still_there(own, tmp_path, monkeypatch):
    card = checkpoints.add(own, LOCAL, saved(tmp_path))

    def refuses(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("studio.checkpoints.os.replace", refuses)
    with pytest.raises(StudioError, match="Permission denied"):
        checkpoints.remove(own, LOCAL, card.id)
    assert own.registry.card(card.id).title == card.title


# ---- the real kinds, and the command line -----------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path):
    return lambda *arguments: CliRunner().invoke(
        __import__("studio.__main__", fromlist=["app"]).app,
        ["--data", str(tmp_path / "data"), *arguments],
        env={"COLUMNS": "200"},
    )


def test_the_command_line_adds_lists_and_removes(run, tmp_path):
    from tests.models.click_networks import untrained

    params = {"width": 18, "ocr_width": 48, "small": True, "pipeline_version": "s1"}
    torch.save(untrained("HRNetModel", params, focal=True), tmp_path / "mine.pth")
    done = run("add-model", str(tmp_path / "mine.pth"), "--title", "Cells")
    assert done.exit_code == 0, done.output
    model = done.output.split(" as ")[1].split(".")[0]
    assert "Cells" in done.output and model.startswith("own-")
    listed = run("models")
    assert any(
        model in line and "Cells" in line and "as its authors say" in line
        for line in listed.output.splitlines()
    )
    assert run("remove-model", model).exit_code == 0
    assert model not in run("models").output


def test_the_command_line_says_in_a_sentence_what_is_accepted(run, tmp_path):
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "x.pth")
    done = run("add-model", str(tmp_path / "x.pth"))
    assert done.exit_code == 1 and "Traceback" not in done.output
    for kind in ("SAM as Meta saves it", "SAM-HQ", "SAM 2 and 2.1", "RITM", "FocalClick", "CDNet"):
        assert kind in done.output


def test_files_of_the_real_kinds_are_recognised_and_answer_clicks(tmp_path):
    from tests.models.click_networks import untrained

    registry = Registry.discover(folder=tmp_path / "none", entry_points=None)
    studio = Studio(Settings(tmp_path / "data", sample=False), registry=registry)
    h18s = {"width": 18, "ocr_width": 48, "small": True}
    files = {
        "RITM HRNet18s": untrained("HRNetModel", h18s),
        "FocalClick HRNet18s S2": untrained("HRNetModel", {**h18s, "pipeline_version": "s2"}, focal=True),
        "FocalClick SegFormer-B0 S1": untrained(
            "SegFormerModel", {"model_version": "b0", "pipeline_version": "s1"}, focal=True
        ),
        "CDNet ResNet34": untrained("DeeplabModel", {"backbone": "resnet34", "deeplab_ch": 128}),
    }
    for title, content in files.items():
        torch.save(content, tmp_path / "file.pth")
        card = checkpoints.add(studio, LOCAL, tmp_path / "file.pth")
        assert card.title == f"{title}: file" and card.prompts == ("point", "mask")
        assert card.commercial is ("SegFormer" not in title)
        if "CDNet" not in title:
            embedding = studio.pool.run(card.id, lambda model: model.embed(picture(60, 90)))
            ask = Prompt((Point(40, 30),))
            (found,) = studio.pool.run(card.id, lambda model, e=embedding, p=ask: model.segment(e, p))
            assert (found.mask.height, found.mask.width) == (60, 90)
    studio.close()


def test_a_file_of_sam_is_recognised_and_answers_a_box(tmp_path):
    pytest.importorskip("segment_anything", reason="its names are asked of it (the meta extra)")
    from studio.annotations import Box
    from tests.models.tiny_sam import reference_sam

    registry = Registry.discover(folder=tmp_path / "none", entry_points=None)
    studio = Studio(Settings(tmp_path / "data", sample=False), registry=registry)
    torch.save({"model": reference_sam().state_dict()}, tmp_path / "fine-tuned.pth")
    card = checkpoints.add(studio, LOCAL, tmp_path / "fine-tuned.pth")
    assert card.prompts == ("point", "box", "mask") and card.family == "SAM"
    embedding = studio.pool.run(card.id, lambda model: model.embed(picture(60, 90)))
    (found,) = studio.pool.run(card.id, lambda model: model.segment(embedding, Prompt(box=Box(5, 5, 60, 50))))
    assert found.state.shape == (32, 32)
    studio.close()
