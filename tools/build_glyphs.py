"""Build the embedded data set `glyphs`: characters of many alphabets, drawn with a wavering pen.

    python tools/build_glyphs.py [--sheet sheet.png]

Each character that a DejaVu font really has is rendered large and thinned to the one-pixel path of a pen (Zhang &
Suen, "A fast parallel algorithm for thinning digital patterns", 1984). Each image then takes a path x in
[-1/2, 1/2]^2 through

    x' = A x + sum_k a_k sin(2 pi f_k . x + phi_k)        A: rotation, slant, aspect; the sum: a smooth waver

scales and centres it in 28x28 with a little jitter, and inks what lies within the pen's radius. Pixels are 1 where at
least half of them is inked. Splits are independent draws over the same characters; every character comes equally often.

One seed and the fonts of one version give the same images with the same versions of numpy, scipy, Pillow and FreeType.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features
from scipy.ndimage import distance_transform_edt

from hvae_core.data.datasets import checksum
from hvae_core.data.formats import pack
from hvae_core.data.pixels import Bytes
from hvae_core.data.sources import SOURCES
from hvae_core.data.splits import SIDE, embedded

SEED = 20_250_708
EM = 72  # font size of the rendering that is thinned, in pixels
FINE = 4  # subpixels per pixel and direction

FONTS = ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif")

ALPHABETS = {
    "digits": "0123456789",
    "symbols": "!?&#%@$+=*<>~{}§¶€£¥∞∂∑∏∫√≈≠≤≥∈∩∪∀∃∇",
    "latin": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzßæøþđŋ",
    "greek": "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθικλμνξπρσςτυφχψω",
    "cyrillic": "БГДЖЗИЛПУФЦЧШЩЪЫЬЭЮЯбвгджзийлпфцчшщъыьэюяђљњћџ",
    "armenian": "ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ",
    "georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "hebrew": "אבגדהוזחטיךכלםמןנסעףפץצקרשת",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي١٢٣٤٥٦٧٨٩",
    "tifinagh": "ⴰⴱⴳⴷⴹⴻⴼⴽⵀⵃⵄⵅⵇⵉⵊⵍⵎⵏⵓⵔⵕⵖⵙⵚⵛⵜⵟⵡⵢⵣⵥ",
    "nko": "ߊߋߌߍߎߏߐߒߓߔߕߖߗߘߙߚߛߜߝߞߟߠߡߢߣߤߥߦ",
    "lao": "ກຂຄງຈຊຍດຕຖທນບປຜຝພຟມຢຣລວສຫອຮ",
    "canadian": "ᐁᐃᐅᐊᐯᐱᐳᐸᑌᑎᑐᑕᑫᑭᑯᑲᒉᒋᒍᒐᒣᒥᒧᒪᓀᓂᓄᓇᓭᓯᓱᓴᔦᔨᔪᔭ",
}

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Path2d:
    """One character's pen path: points (n, 2) as (x, y), the longer side of their box 1, centred at 0."""

    character: str
    font: str
    points: Points


def font_file(name: str) -> Path:
    """Return the path of a font that comes with matplotlib."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"


def render(character: str, font: ImageFont.FreeTypeFont) -> Bytes:
    """Render a character black on white and return its ink, uint8 0/1, with a margin of two pixels."""
    left, top, right, bottom = (round(side) for side in font.getbbox(character))
    picture = Image.new("L", (right - left + 4, bottom - top + 4), 0)
    ImageDraw.Draw(picture).text((2 - left, 2 - top), character, fill=255, font=font)
    return (np.asarray(picture) >= 128).astype(np.uint8)


def thin(ink: Bytes) -> Bytes:
    """Thin 0/1 ink with an empty margin to lines one pixel wide that keep its topology (Zhang & Suen, 1984)."""
    image = ink.astype(np.uint8)
    while True:
        before = int(image.sum())
        for step in (0, 1):
            # neighbours clockwise from the north
            n, ne, e, se, s, sw, w, nw = (
                np.roll(image, shift, (0, 1))
                for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            )
            ring = np.stack((n, ne, e, se, s, sw, w, nw))
            inked = ring.sum(axis=0)
            rises = ((ring == 0) & (np.roll(ring, -1, axis=0) == 1)).sum(axis=0)
            corners = (n * e * s, e * s * w) if step == 0 else (n * e * w, n * s * w)
            gone = (inked >= 2) & (inked <= 6) & (rises == 1) & (corners[0] == 0) & (corners[1] == 0)
            image = image * ~gone
        if int(image.sum()) == before:
            return image


def pen_paths(fonts: tuple[str, ...] = FONTS, alphabets: dict[str, str] = ALPHABETS) -> list[list[Path2d]]:
    """Return, per character, its paths in the fonts whose character map has it. Raises ValueError if none has."""
    loaded = [
        (name, set(TTFont(font_file(name)).getBestCmap()), ImageFont.truetype(font_file(name), EM)) for name in fonts
    ]
    found = []
    for character in dict.fromkeys("".join(alphabets.values())):
        paths = []
        for name, codes, font in loaded:
            if ord(character) in codes:
                rows, columns = np.nonzero(thin(render(character, font)))
                points = np.stack((columns, rows), axis=1).astype(np.float64)
                low, high = points.min(axis=0), points.max(axis=0)
                points = (points - (low + high) / 2) / max((high - low).max(), 1.0)
                paths.append(Path2d(character, name, points))
        if not paths:
            raise ValueError(f"no font has {character!r}")
        found.append(paths)
    return found


def waver(points: Points, rng: np.random.Generator) -> Points:
    """Move points (n, 2) by a random affine map and a smooth random field."""
    turn, slant, aspect = rng.normal(0, 0.09), rng.normal(0, 0.16), np.exp(rng.normal(0, 0.12))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = rotation @ np.array([[1.0, slant], [0.0, 1.0]]) @ np.diag([aspect, 1 / aspect])
    frequency = rng.uniform(-1.3, 1.3, (4, 2))
    amplitude = rng.normal(0, 0.03, (4, 2))
    phase = rng.uniform(0, 2 * np.pi, 4)
    return np.asarray(points @ linear.T + np.sin(2 * np.pi * points @ frequency.T + phase) @ amplitude)


def draw(path: Path2d, rng: np.random.Generator) -> Bytes:
    """Draw one image of a path: uint8 (28, 28) in 0/1."""
    points = waver(path.points, rng)
    low, high = points.min(axis=0), points.max(axis=0)
    radius = rng.uniform(0.65, 1.15)
    size = rng.uniform(19.0, 23.5) - 2 * radius
    centre = SIDE / 2 + rng.uniform(-1.0, 1.0, 2)
    points = (points - (low + high) / 2) * (size / max((high - low).max(), 1e-9)) + centre
    cells = np.clip((points * FINE).astype(np.int64), 0, SIDE * FINE - 1)
    empty = np.ones((SIDE * FINE, SIDE * FINE), dtype=np.uint8)
    empty[cells[:, 1], cells[:, 0]] = 0
    inked = distance_transform_edt(empty) <= radius * FINE
    share = inked.reshape(SIDE, FINE, SIDE, FINE).mean(axis=(1, 3))
    return np.asarray(share >= 0.5, dtype=np.uint8)


def images(paths: list[list[Path2d]], n: int, rng: np.random.Generator) -> Bytes:
    """Draw n images, uint8 (n, 784): all characters in turn, in a new order every time round."""

    def order() -> Iterator[int]:
        while True:
            yield from rng.permutation(len(paths)).tolist()

    turn = order()
    drawn = np.empty((n, SIDE * SIDE), dtype=np.uint8)
    for row in drawn:
        fonts = paths[next(turn)]
        row[:] = draw(fonts[int(rng.integers(len(fonts)))], rng).reshape(-1)
    return drawn


def sheet(rows: Bytes, file: Path, across: int = 28) -> None:
    """Write a contact sheet of the first images."""
    grid = rows[: across * across].reshape(across, across, SIDE, SIDE)
    framed = np.pad(grid * np.uint8(255), ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=90)
    picture = framed.transpose(0, 2, 1, 3).reshape(across * (SIDE + 1), -1)
    Image.fromarray(picture).resize((picture.shape[1] * 2, picture.shape[0] * 2), Image.Resampling.NEAREST).save(file)


def main() -> None:
    """Build the file and write it into the package."""
    source = SOURCES["glyphs:embedded"]
    parser = argparse.ArgumentParser(description="Build the embedded data set glyphs from matplotlib's DejaVu fonts.")
    parser.add_argument("--out", type=Path, default=embedded(source), help="file to write")
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet of training images, a PNG")
    arguments = parser.parse_args()
    paths = pen_paths()
    seeds = np.random.SeedSequence(SEED).spawn(3)
    splits = {
        key: images(paths, n, np.random.Generator(np.random.PCG64(seed)))
        for key, n, seed in zip(("train", "valid", "test"), source.counts or (), seeds, strict=True)
    }
    content = pack(splits, (SIDE, SIDE))
    arguments.out.write_bytes(content)
    for name in FONTS:
        print(f"{name}: sha256 {hashlib.sha256(font_file(name).read_bytes()).hexdigest()}")
    print(f"{len(paths)} characters of {len(ALPHABETS)} alphabets, FreeType {features.version('freetype2')}")
    print(f"{arguments.out}: {len(content)} bytes, content {checksum('static', (SIDE, SIDE), splits)}")
    if arguments.sheet:
        sheet(splits["train"], arguments.sheet)


if __name__ == "__main__":
    main()
