"""The Matting tab with the demo models: from a box around a drawn feather to its alpha, held against the truth."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.annotations import Alpha
from studio.scenes import still_life
from studio.studio import SAMPLE
from tests.browser.test_matting import drag, holds, only, shown

pytestmark = pytest.mark.browser
SEED, WIDTH, HEIGHT = 7_500_023, 480, 360  # far from those that any model learns from


@pytest.fixture(scope="module")
def scene():
    return still_life(SEED, WIDTH, HEIGHT, count=2, classes=["feather"])


@pytest.fixture
def studio(tmp_path: Path, scene):
    from studio.settings import Settings
    from studio.studio import Studio

    made = Studio(Settings(tmp_path / "data", sample=False))
    project = made.store.create_project("scenes", "local")
    made.store.set_setting(project.id, SAMPLE, True, person="local")
    out = io.BytesIO()
    Image.fromarray(scene.image).save(out, "PNG")
    made.image, _ = made.store.add_image(
        project.id, "feathers.png", out.getvalue(), width=WIDTH, height=HEIGHT, display=None,
        thumbnail=out.getvalue(), person="local",
    )  # fmt: skip
    yield made
    made.close()


def test_a_feather_is_cut_out_finer_than_its_mask_by_the_demo_models(browser, serve, studio, scene, tmp_path):
    from studio.app import serve as asgi

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(serve(asgi(studio)))
    page.locator("#gallery .tile").first.wait_for()
    page.get_by_role("tab", name="Matting").click()
    holds(
        page,
        "globalThis.__matting?.stage.picture && __matting.stage.model === 'demo-sam2' && __matting.visible()",
    )
    feather = scene.things[1]
    box = feather.box
    drag(page, (box.x0, box.y0), (box.x0 + 30, box.y0 + 30), (box.x1, box.y1))
    holds(page, "__matting.object && !__matting.wire.pending")
    mask = only(studio, studio.image).shape.to_array()
    page.keyboard.press("Enter")
    holds(page, "__matting.matte.figures")
    page.get_by_role("slider", name="Width of the unknown band").fill("83")
    holds(page, "!__matting.asking.busy && __matting.band.now.width > 2.4")
    page.locator("#matting-stage .ol-view").focus()
    page.keyboard.press("m")
    shown(page)
    made = only(studio, studio.image)
    page.close()
    assert isinstance(made.shape, Alpha) and made.model == "demo-sam2+demo-vitmatte"
    alpha = np.array(Image.open(studio.store.alpha_path(studio.image.id, made.shape.digest))) / 255
    off = [np.abs(each - feather.alpha).sum() for each in (alpha, mask)]
    assert off[0] < 0.75 * off[1], off
