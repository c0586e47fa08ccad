"""The base of all live figures. What a single figure computes is tested with its
chapter.
"""

import importlib
import io
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from latent_book.figures import kit as w
from latent_book.plots import COLOR
from sphinxext import reference

KIT = (w.STATIC / "kit.js").read_text(encoding="utf-8")


def line(fig, slope: float, height: float = 0.0) -> None:
    """A picture that depends on two numbers."""
    ax = fig.add_subplot()
    ax.set(xlim=(0, 1), ylim=(0, 4))
    ax.plot([0, 1], [height, height + slope], color=COLOR["data"])


@pytest.fixture(scope="module")
def frames() -> w.Frames:
    """Two slopes, three heights."""
    axes = {"slope": [0.0, 1.0], "height": [0.0, 1.0, 3.0]}
    return w.Frames(line, axes, alt="A line.", size=(1.5, 1.0))


MODULES = [
    importlib.import_module(f"latent_book.{name}")
    for name in reference.modules()
    if name.startswith("figures.")
]
FIGURES = [
    f
    for module in MODULES
    for f in vars(module).values()
    if isinstance(f, type)
    and issubclass(f, w.LiveFigure)
    and f.__module__ == module.__name__
    and f is not w.LiveFigure
]


def test_a_script_that_stops_or_never_ends_is_told(node):
    with pytest.raises(RuntimeError, match="ReferenceError: nowhere"):
        node.ask("return nowhere;")
    with pytest.raises(RuntimeError, match="timed out"):
        node.ask("while (true);", seconds=0.2)
    node.process.kill()
    node.process.wait()
    assert node.ask("return given + 1;", 1) == 2  # a new one, where one has died


def test_there_are_figures():
    assert {"Frames", "SceneFigure"} <= {f.__name__ for f in FIGURES}
    assert len(FIGURES) >= len(MODULES) > 10


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figures_script_stands_alone(figure, node):
    """It is the kit and its own file, imports nothing, exports one thing, and node
    finds no fault in it.
    """
    script = str(figure._esm)
    assert script.startswith(KIT)
    assert len(re.findall(r"^export\b", script, re.M)) == 1
    assert re.search(r"^export default \{ render \};\s*\Z", script, re.M)
    assert not re.search(
        r"^import\b|\bimport\(|\bfetch\(|\beval\(|new Function|https?://(?!www\.w3\.org)",
        script,
        re.M,
    )
    body = script.replace("export default { render };", "return typeof render;")
    assert node.ask(body) == "function"


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figures_script_knows_its_traits(figure):
    """The list that the type checker reads names those that Python sends."""
    (listed,) = re.findall(
        rf"@typedef {{object}} Traits of `{figure.__name__}`\n((?: \* @property .*\n)+)",
        str(figure._esm),
    )
    own = set(figure.class_traits(sync=True)) - set(
        w.LiveFigure.class_traits(sync=True)
    )
    assert sorted(re.findall(r"} (\w+)$", listed, re.M)) == sorted(own)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figures_values_travel_and_its_words_are_there(figure):
    assert {"alt", "kernel"} <= set(figure.class_traits(sync=True))
    assert str(figure._css) == w.style()


# --- pack, and its other half in kit.js
# ------------------------------------------------------------------------------

numbers = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=12)


@given(values=numbers, offset=st.integers(0, 5))
@settings(max_examples=12, deadline=None)
def test_the_browser_reads_what_python_packs(node, values, offset):
    """At any place in a buffer, for a message from the kernel puts several arrays into
    one.
    """
    script = (
        f"{KIT}\nconst all = Uint8Array.from(given.bytes);\n"
        "const view = new DataView(all.buffer, given.offset);\n"
        "return [Array.from(kit.floats(view)), Array.from(kit.bytes(view))];"
    )
    packed = w.pack(values)
    sent = {"bytes": list(bytes(offset) + packed), "offset": offset}
    as_floats, as_bytes = node.ask(script, sent)
    np.testing.assert_array_equal(
        np.array(as_floats, dtype="<f4"), np.array(values, dtype="<f4")
    )
    assert bytes(as_bytes) == packed


def test_pack_keeps_the_order_of_rows():
    X = np.arange(6.0).reshape(2, 3)
    assert w.pack(X.T, "u1") == bytes([0, 3, 1, 4, 2, 5])
    assert w.pack([1.0]) == b"\x00\x00\x80?"


def networks() -> list[torch.nn.Sequential]:
    """Chains with every activation, with and without offsets, one layer and many."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [
            nn.Sequential(nn.Linear(3, 2)),
            nn.Sequential(
                nn.Linear(3, 5, bias=False), nn.ReLU(), nn.Linear(5, 4), nn.Sigmoid()
            ),
            nn.Sequential(
                nn.Linear(3, 8),
                nn.Tanh(),
                nn.Linear(8, 8),
                nn.Softplus(),
                nn.Linear(8, 6),
            ),
        ]


@pytest.mark.parametrize("net", networks())
def test_a_packed_network_computes_what_torch_does_in_python_and_in_the_browser(
    net, node
):
    layers, weights = w.pack_network(net)
    X = np.random.default_rng(0).normal(scale=3.0, size=(4, 3)).astype("float32")
    wanted = net(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(w.run_network(layers, weights, X), wanted, atol=1e-5)
    script = (
        f"{KIT}\n{(w.STATIC / 'network.js').read_text(encoding='utf-8')}\n"
        "const bytes = Uint8Array.from(given.weights);\n"
        "const net = network(given.layers, kit.floats(new DataView(bytes.buffer)));\n"
        "return given.X.map((x) => Array.from(net(x)));"
    )
    sent = {"layers": layers, "weights": list(weights), "X": X.tolist()}
    np.testing.assert_allclose(node.ask(script, sent), wanted, atol=1e-5)


def test_a_layer_that_the_browser_cannot_run_is_refused():
    for net in (
        nn.Sequential(nn.Conv2d(1, 1, 3)),
        nn.Sequential(nn.ReLU(), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.ReLU()),
    ):
        with pytest.raises(TypeError, match="the browser cannot run a"):
            w.pack_network(net)


def test_the_kits_numbers(node):
    script = (
        KIT
        + """
    return [kit.number(-0.001), kit.number(-1.5, 1), kit.number(2, 0), kit.clamp(5, 0, 1), kit.clamp(-5, 0, 1),
      Array.from(kit.linspace(0, 1, 3)), kit.ticks([-3, 3]), kit.ticks([0, 1]), kit.ticks([0, 0.3]), kit.color("kl")];"""
    )
    assert node.ask(script) == [
        "0.00",
        "\N{MINUS SIGN}1.5",
        "2",
        1,
        0,
        [0, 0.5, 1],
        [-2, 0, 2],
        [0, 0.5, 1],
        [0, 0.1, 0.2, 0.3],
        "var(--lb-kl)",
    ]


def test_what_several_figures_compute(node):
    script = (
        KIT
        + """
    const random = kit.chance(7);
    return [kit.logSumExp([-1000, -1000]), kit.logSumExp([800]), kit.shares([1, 3]), kit.shares([0, 0]),
      [random(), random()], kit.axis([1, 2, 3, 4], 1), kit.ring([1, 2], [3, 0], [0, 1]).map((part) => part[15]),
      Array.from(kit.greys([0, 51, 255], 1, 2)), kit.pick({ get: (key) => key + key }, "a", "b")];"""
    )
    low, high, quarter, even, random, ys, ring, greys, picked = node.ask(script)
    assert (low, high) == (pytest.approx(np.log(2) - 1000), 800)
    assert (quarter, even) == ([0.25, 0.75], [0.5, 0.5])
    assert 0 <= min(random) < max(random) < 1
    assert ys == [2, 4]
    assert ring == pytest.approx([1, 3])  # a quarter round
    assert greys == [0.2, 1]
    assert picked == {"a": "aa", "b": "bb"}


def test_two_figures_of_a_page_give_no_id_twice(node):
    """Each script has a kit of its own; labels, clips and radio buttons would otherwise
    reach into the other figure.
    """
    page = """
    const made = [], node = () => ({ setAttribute(k, v) { if (k === "id") made.push(v); }, append() {}, style: {},
      addEventListener() {}, matches: () => false, classList: { toggle() {} } });
    globalThis.document = { createElement: node, createElementNS: node };
    """
    plot = 'kit.figure({ get: () => "", on() {} }, node()).plot({ x: [0, 1], y: [0, 1], axes: false, into: node() });'
    browser = "globalThis.MutationObserver = class { observe() {} }; document.documentElement = document.body = node();"
    script = f"{page}{browser}{{ {KIT}\n{plot} }}\n{{ {KIT}\n{plot} }}\nreturn made;"
    ids = node.ask(script)
    assert len(ids) >= 2
    assert len(set(ids)) == len(ids)


def test_script_and_stylesheet_know_the_same_dark_hosts():
    from latent_book.plots import DARK, palette_css

    said = "".join(
        re.findall(
            r"""^    ['"](.*)['"][ +;]*$""",
            KIT.split("const DARK =")[1].split(";")[0] + ";",
            re.M,
        )
    )
    assert said == ", ".join(DARK)
    assert f"{said}, .lb-dark {{" in palette_css()


# --- Frames
# --------------------------------------------------------------------------------------------------------


def test_a_figure_without_a_picture_says_what_to_write():
    with pytest.raises(
        NotImplementedError, match=r"LiveFigure needs a draw_poster\(fig\)"
    ):
        w.LiveFigure().poster()


@pytest.mark.parametrize(
    ("axes", "cure"),
    [
        ({}, "at least one axis"),
        ({"slope": []}, "at least one axis"),
        ({"slope": [1.0, 1.0]}, "increasing"),
        ({"slope": [2.0, 1.0]}, "increasing"),
        (
            {"slope": [*map(float, range(21))], "height": [*map(float, range(20))]},
            "420 frames .* 400 or fewer",
        ),
    ],
)
def test_axes_that_make_no_figure_are_refused(axes, cure):
    with pytest.raises(ValueError, match=cure):
        w.Frames(line, axes, alt="A line.")


def test_the_poster_is_a_picture_of_the_present_state(frames):
    before = frames.poster()
    image = Image.open(io.BytesIO(before))
    assert image.format == "PNG"
    assert image.size == (165, 110)  # inches at 110 dots
    at, frames.at = frames.at, [1.0, 3.0]
    assert frames.poster() != before
    frames.at = at
    assert frames.poster() == before


def test_a_bundle_carries_the_poster(frames):
    bundle = frames._repr_mimebundle_()
    assert bundle is not None
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(bundle[0])


def test_every_frame_has_its_place_on_the_sheet(frames, maths):
    """The number that the browser computes is the place at which Python put the
    picture.
    """
    columns, width, height = frames.grid
    for theme, sheet in (("light", frames.light), ("dark", frames.dark)):
        image = Image.open(io.BytesIO(sheet)).convert("RGB")
        for at in [(0.0, 0.0), (0.0, 3.0), (1.0, 1.0)]:
            (k,) = maths(frames, ("frameNumber", frames.axes, at))
            left, top = k % columns * width, k // columns * height
            shown = np.asarray(
                image.crop((left, top, left + width, top + height)), dtype=int
            )
            exact = np.asarray(frames._both(at)[theme == "dark"], dtype=int)
            assert np.abs(shown - exact).mean() < 2  # 64 colours for the whole sheet


def test_the_kernel_draws_where_no_frame_was_stored(frames):
    frames.at = [0.5, 2.0]
    sent = [Image.open(io.BytesIO(b)).convert("RGB") for b in frames.exact]
    assert len(sent) == 2
    for image, exact in zip(sent, frames._both([0.5, 2.0]), strict=True):
        assert image.size == exact.size
        assert (
            np.abs(np.asarray(image, dtype=int) - np.asarray(exact, dtype=int)).mean()
            < 2
        )
    # light paper and dark
    assert np.asarray(sent[0]).mean() > 200 > np.asarray(sent[1]).mean()


def test_colours_are_back_after_a_dark_frame(frames):
    before = dict(COLOR)
    frames._both([0.0, 0.0])
    assert before == COLOR
