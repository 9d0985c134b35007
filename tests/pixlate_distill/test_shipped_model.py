"""The shipped model that is made of pictures under free licences alone."""

import io

import numpy as np
import skimage
from PIL import Image

import pixlate
from pixlate.evaluation import psnr_luma
from pixlate.inference.ready import cards

MOST_BYTES = 8_000_000


def test_model_is_small_and_says_that_it_may_be_used_for_work() -> None:
    card, spec = cards()["photo-x4-free"], pixlate.load("photo-x4-free", "cpu").spec
    assert card.path.stat().st_size < MOST_BYTES and card.card is not None
    assert (spec.method, spec.scale, spec.channels_in, spec.channels_out) == ("distill", 4, 3, 3)
    text = card.card.read_text()
    assert spec.provenance.licence.startswith("BSD-3-Clause") and "non-commercial" not in text and "BSD-3-Clause" in text
    assert f"{spec.provenance.steps:,} steps" in text and "real-esrgan-x4, licence BSD-3-Clause" in spec.provenance.teacher


def test_model_enlarges_what_a_phone_stores_better_than_bicubic() -> None:
    photograph = skimage.data.astronaut()[:240, 60:380]  # type: ignore[no-untyped-call]
    small = np.array(Image.fromarray(photograph).resize((80, 60), Image.Resampling.BICUBIC)) + np.random.default_rng(0).normal(0, 8, (60, 80, 3))
    stream = io.BytesIO()
    Image.fromarray(small.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=50)
    source = Image.open(stream)
    bicubic = np.array(source.resize((320, 240), Image.Resampling.BICUBIC))
    (output,) = pixlate.load("photo-x4-free", "cpu")(np.array(source)[None])
    assert psnr_luma(output, photograph, 4) > psnr_luma(bicubic, photograph, 4) + 0.2
