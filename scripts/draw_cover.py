"""Draw the card that a shared link shows and the cover of the EPUB: real digits, each
where its two first principal components put it, with the colour of the latent variables
fading into that of the data.

    python scripts/draw_cover.py    # writes sphinxext/assets/card.png and
    scripts/cover.png, the same bytes each time
"""

from configparser import ConfigParser
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from latent_book.data import mnist
from latent_book.pca import PCA
from latent_book.plots import COLOR

ROOT = Path(__file__).resolve().parent.parent
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def digits(rows: int, columns: int, size: int) -> Image.Image:
    """A sheet of digits in the order of their two first components: to each place goes
    the nearest that is still free.
    """
    X = mnist("train").X
    Z = PCA(n_components=2).fit(X).encode(X)
    # ranks fill the sheet evenly
    place = Z.argsort(axis=0).argsort(axis=0) / (len(Z) - 1)
    sheet = Image.new("RGB", (columns * size, rows * size), COLOR["paper"])
    latent, data = (
        np.array(ImageColor.getrgb(COLOR[name])) for name in ("latent", "data")
    )
    for row in range(rows):
        for column in range(columns):
            goal = np.array([(column + 0.5) / columns, (row + 0.5) / rows])
            nearest = int(((place - goal) ** 2).sum(axis=1).argmin())
            place[nearest] = np.inf
            ink = latent + (data - latent) * goal[0]
            mask = Image.fromarray((X[nearest].reshape(28, 28) * 255).astype(np.uint8))
            mask = mask.resize((size, size), Image.Resampling.LANCZOS)
            colour = Image.new("RGB", (size, size), tuple(int(v) for v in ink))
            sheet.paste(colour, (column * size, row * size), mask)
    return sheet


def lines(words: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Words, broken into lines no wider than `width` pixels."""
    found = [""]
    for word in words.split():
        longer = f"{found[-1]} {word}".strip()
        found = (
            [*found[:-1], longer] if font.getlength(longer) <= width else [*found, word]
        )
    return "\n".join(found)


def draw(
    width: int,
    height: int,
    sheet: Image.Image,
    at: tuple[int, int],
    text: int,
    path: Path,
) -> None:
    """Title and subtitle over or beside a sheet of digits."""
    settings = ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    said = settings["DEFAULT"]
    picture = Image.new("RGB", (width, height), COLOR["paper"])
    picture.paste(sheet, at)
    pen, top, left = ImageDraw.Draw(picture), height // 8, width // 16
    title = ImageFont.truetype(FONTS / "DejaVuSans-Bold.ttf", 72)
    small = ImageFont.truetype(FONTS / "DejaVuSans.ttf", 34)
    pen.text((left, top), said["title"], COLOR["latent"], title)
    subtitle = lines(said["description"], small, text)
    pen.multiline_text((left, top + 120), subtitle, COLOR["ink"], small, spacing=16)
    picture.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    assets = ROOT / "sphinxext" / "assets"
    draw(1200, 630, digits(9, 9, 70), (570, 0), 470, assets / "card.png")
    draw(1200, 1600, digits(16, 16, 75), (0, 480), 1050, ROOT / "scripts" / "cover.png")
