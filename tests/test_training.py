"""The training module: the loop against one written by hand, runs that end early, and
two processes at work.
"""

import contextlib
import inspect
import math
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from functools import partial, wraps

import numpy as np
import pytest
import torch
from conftest import ROOT, cells
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.overrides import TorchFunctionMode

from latent_book import training as t
from latent_book.data import digits8
from latent_book.rows import check_rows, child_seed
from latent_book.vae import VAENetwork

torch.set_num_threads(1)


def squared_error(model, x, generator):
    """The loss of the tests."""
    return (model(x) - x).square().sum(1).mean()


def noisy_error(model, x, generator):
    """A loss that needs chance."""
    noise = torch.randn(x.shape, generator=generator)
    return (model(x + 0.1 * noise) - x).square().sum(1).mean()


def net(seed: int = 0, dropout: float = 0.0) -> nn.Sequential:
    """A small network."""
    with t.seeded(seed):
        return nn.Sequential(
            nn.Linear(64, 16),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(16, 64),
            nn.Sigmoid(),
        )


@pytest.fixture(scope="module")
def X() -> torch.Tensor:
    """Digits of 8 x 8 pixels."""
    return torch.from_numpy(digits8(np.float32).X[:500])


def same(a: nn.Module, b: nn.Module) -> bool:
    """Are all weights equal, bit by bit?"""
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


# --- batches and seeds
# -------------------------------------------------------------------------------------------------


@given(n=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_an_epoch_has_every_row_once_in_an_order_that_the_seed_gives(n, size, seed):
    rows = torch.arange(n)
    epoch = list(t.shuffled_batches(rows, size, torch.Generator().manual_seed(seed)))
    again = list(
        t.shuffled_batches((rows, -rows), size, torch.Generator().manual_seed(seed))
    )
    assert sorted(torch.cat(epoch).tolist()) == list(range(n))
    sizes = [min(size, n - i) for i in range(0, n, size)]
    if sizes[-1] == 1 < size and len(sizes) > 1:  # a row alone joins the others
        sizes[-2:] = [size + 1]
    assert [len(b) for b in epoch] == sizes
    filled = list(t.shuffled_batches(rows, size, drop_last=True))
    assert [len(b) for b in filled] == [size] * (n // size)
    for x, (a, b) in zip(epoch, again, strict=True):
        assert torch.equal(x, a)
        assert torch.equal(a, -b)


def test_training_leaves_the_global_generator_alone(X):
    before = torch.random.get_rng_state()
    t.train(net(dropout=0.2), noisy_error, X, epochs=1, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)


# --- the loop
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_train_is_the_plain_loop(X, schedule):
    """Same steps as torch's own Adam, unfused, and torch's own cosine, over the same
    batches.
    """
    epochs, size = 3, 64
    plain, steps = net(), epochs * math.ceil(len(X) / size)
    adam = torch.optim.Adam(plain.parameters(), lr=2e-3)
    pace = torch.optim.lr_scheduler.LambdaLR(adam, lambda k: 1.0)
    if schedule == "cosine":
        pace = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=steps)
    losses = []
    for epoch in range(epochs):
        order = torch.Generator().manual_seed(child_seed(5, epoch))
        for x in t.shuffled_batches(X, size, order):
            loss = squared_error(plain, x, None)
            adam.zero_grad()
            loss.backward()
            adam.step()
            pace.step()
            losses.append(loss.item())
    ours = net()
    history = t.train(
        ours,
        squared_error,
        X,
        epochs=epochs,
        batch_size=size,
        lr=2e-3,
        schedule=schedule,
        random_state=5,
        progress=False,
    )
    assert history.steps == pytest.approx(losses, rel=1e-4)
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert history.loss[0] == pytest.approx(
        np.average(losses[:8], weights=[64] * 7 + [52]), rel=1e-4
    )
    assert history.best == 2
    assert history.val_loss == []
    assert not ours.training


def test_the_same_seed_gives_the_same_run_and_another_another(X):
    runs = []
    for seed in (1, 1, 2):
        model = net(dropout=0.3)
        history = t.train(
            model, noisy_error, X, epochs=2, random_state=seed, progress=False
        )
        runs.append((model, history))
    assert same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert not same(runs[0][0], runs[2][0])


def test_sixteen_bits_learn_nearly_as_well(X):
    exact, short = (
        t.train(net(), squared_error, X, epochs=8, lr=3e-3, bfloat16=b, progress=False)
        for b in (False, True)
    )
    assert exact.loss != short.loss
    assert short.loss[-1] == pytest.approx(exact.loss[-1], rel=0.03)


def test_several_tensors_travel_together():
    x = torch.linspace(-1, 1, 200)[:, None]
    with t.seeded(0):
        line = nn.Linear(1, 1)

    def loss(model, x, y, generator):
        return (model(x) - y).square().mean()

    t.train(line, loss, (x, 3 * x + 1), epochs=300, lr=0.1, progress=False)
    assert line.weight.item() == pytest.approx(3, abs=0.01)
    assert line.bias.item() == pytest.approx(1, abs=0.01)


def test_the_best_weights_on_held_out_data_are_kept(X):
    large = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64))
    history = t.train(
        large, squared_error, X[:30], X_val=X[100:], epochs=150, batch_size=10, lr=2e-2,
        schedule="constant", patience=5, progress=False,
    )  # fmt: skip
    assert history.stopped == "early"
    assert len(history.val_loss) == history.best + 6
    assert history.val_loss[history.best] == min(history.val_loss)
    assert t.held_out_loss(large, squared_error, X[100:]) == pytest.approx(
        min(history.val_loss)
    )
    whole = squared_error(large, X[100:], None).item()
    assert whole == pytest.approx(min(history.val_loss), rel=1e-5)


def test_held_out_noise_is_the_same_each_time(X):
    model = net()
    a, b, c = (t.held_out_loss(model, noisy_error, X, seed) for seed in (0, 0, 1))
    assert a == b != c


@pytest.mark.parametrize(
    "bad", [(math.nan,), (math.inf,), (math.inf, -math.inf), (-math.inf, 2.0)]
)
def test_no_bad_value_hides_among_good_ones_and_a_large_sum_is_none(bad):
    rows = torch.rand(50, 4)
    rows[7, : len(bad)] = torch.tensor(bad)
    with pytest.raises(ValueError, match="in row 7"):
        check_rows(rows)
    with pytest.raises(ValueError, match="drop such rows"):
        t.train(
            nn.Linear(4, 4),
            lambda net, x, _: net(x).mean(),
            rows,
            epochs=1,
            progress=False,
        )
    # their sum is beyond single precision, they are not
    large = torch.full((50, 4), 3e38)
    assert not large.sum().isfinite()
    assert np.shares_memory(check_rows(large), large.numpy())


def test_a_run_that_diverges_says_where_and_keeps_the_good_weights(X):
    calls = iter(range(1000))

    def loss(model, x, generator):
        value = squared_error(model, x, generator)
        return value * (math.nan if next(calls) == 11 else 1.0)

    model, twin = net(), net()
    with pytest.raises(
        t.DivergedError, match=r"nan at step 11, epoch 1; lower lr \(now 0\.003\)"
    ):
        t.train(
            model,
            loss,
            X,
            batch_size=64,
            lr=3e-3,
            epochs=3,
            progress=False,
            schedule="constant",
        )
    t.train(
        twin,
        squared_error,
        X,
        batch_size=64,
        lr=3e-3,
        epochs=1,
        progress=False,
        schedule="constant",
    )
    assert same(model, twin)  # as after the last good epoch


def test_a_loss_that_is_no_number_on_held_out_data_stops_the_run(X):
    def loss(model, x, generator):
        return squared_error(model, x, generator) * (
            1.0 if model.training else math.inf
        )

    with pytest.raises(t.DivergedError, match="the held-out data"):
        t.train(net(), loss, X, X_val=X, epochs=1, progress=False)


def test_the_device_is_chosen_and_used(X):
    chosen = t.choose_device()
    assert chosen.type == (
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    model = net()
    t.train(model, squared_error, X, epochs=1, progress=False)
    assert next(model.parameters()).device.type == chosen.type


# --- what stands on the screen
# -----------------------------------------------------------------------------------------

BAR = """
import os, sys, torch
from latent_book.training import train
for screen in (None, int(sys.argv[1])):
    if screen is not None:
        os.dup2(screen, 2)
    net = torch.nn.Linear(2, 2)
    train(net, lambda m, x, g: m(x).square().mean(), torch.rand(64, 2), epochs=2)
"""


def _environment() -> dict[str, str]:
    found = {k: v for k, v in os.environ.items() if not k.startswith("TQDM")}
    return {**found, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def test_a_log_gets_lines_and_a_terminal_a_bar():
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    log = subprocess.run(
        [sys.executable, "-c", BAR, str(slave)],
        capture_output=True,
        text=True,
        env=_environment(),
        pass_fds=[slave],
        check=True,
    ).stderr
    os.close(slave)
    assert "\r" not in log
    assert "training: 100%" in log
    assert "loss" in log
    shown = ""
    with contextlib.suppress(OSError):  # that is how a terminal ends
        while chunk := os.read(master, 4096):
            shown += chunk.decode()
    os.close(master)
    assert "\rtraining:" in shown


# --- accidents, and more than one process
# -------------------------------------------------------------------------------------

RUN = """
import sys, time, torch
sys.path.insert(0, {tests!r})
import test_training as tt
X = torch.from_numpy(tt.digits8("float32").X[:500])
told = 0
@tt.wraps(tt.noisy_error)
def slowly(model, x, generator):
    global told
    told += 1
    if told <= 8:
        print("step", flush=True)
    else:
        time.sleep(60)  # until the signal is here
    return tt.noisy_error(model, x, generator)
history = tt.t.train(tt.net(dropout=0.1), slowly, X, X_val=X[:100], **tt.LONG, checkpoint={place!r})
print("stopped", history.stopped, len(history.steps), flush=True)
"""
LONG = {"epochs": 6, "batch_size": 100, "progress": False}


def test_ctrl_c_ends_a_run_in_good_order_and_another_process_goes_on(X, tmp_path):
    """Kills stand in test_files.py."""
    place = tmp_path / "run.safetensors"
    script = RUN.format(tests=str(ROOT / "tests"), place=str(place))
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    assert process.stdout is not None
    for _ in range(8):
        assert process.stdout.readline() == "step\n"
    process.send_signal(signal.SIGINT)
    last = process.communicate(timeout=60)[0].splitlines()[-1].split()
    assert process.returncode == 0
    assert last[:2] == ["stopped", "interrupted"]
    assert 5 <= int(last[2]) < 30
    resumed, whole = net(dropout=0.1), net(dropout=0.1)
    steps = []

    @wraps(noisy_error)
    def counted(model, x, generator):
        steps.append(model.training)
        return noisy_error(model, x, generator)

    after = t.train(resumed, counted, X, X_val=X[:100], **LONG, checkpoint=place)
    assert 0 < sum(steps) < 30
    assert after == t.train(whole, noisy_error, X, X_val=X[:100], **LONG)
    assert same(resumed, whole)


def _together(X: torch.Tensor, place: str) -> None:
    """One of two processes; the first leaves what came of it."""
    from accelerate import Accelerator

    helper = Accelerator(cpu=True)
    assert helper.num_processes == 2
    model = net()
    history = t.train(
        model, squared_error, X, X_val=X[:100], **SHORT, accelerator=helper
    )
    if helper.is_main_process:
        found = {"loss": history.steps, "val": history.val_loss}
        torch.save({"weights": model.state_dict(), **found}, place)


SHORT = {"epochs": 3, "batch_size": 100, "progress": False}


def test_two_processes_train_the_same_model(X, tmp_path, monkeypatch):
    from accelerate import debug_launcher

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    debug_launcher(_together, (X, str(tmp_path / "out.pt")), num_processes=2)
    found = torch.load(tmp_path / "out.pt", weights_only=True)
    model = net()
    alone = t.train(model, squared_error, X, X_val=X[:100], **SHORT)
    assert found["loss"] == pytest.approx(alone.steps, rel=1e-4)
    assert found["val"] == pytest.approx(alone.val_loss, rel=1e-4)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found["weights"][name], value, rtol=1e-3, atol=1e-5)


def test_the_accelerator_decides_about_precision(X):
    with pytest.raises(ValueError, match="mixed_precision"):
        t.train(net(), squared_error, X, bfloat16=True, accelerator=object())


def test_the_script_for_several_gpus_runs_in_two_processes(tmp_path):
    """On the CPU, for one epoch; all else is as the page has it."""
    page = "\n".join(
        text for _, text in cells(ROOT / "nbs" / "start" / "using.ipynb", "markdown")
    )
    (script,) = re.findall(r"```python\n(.*?Accelerator.*?)```", page, re.S)
    script = script.replace("epochs=20", "epochs=1").replace(
        "Accelerator()", "Accelerator(cpu=True)"
    )
    (tmp_path / "several.py").write_text(script)
    # by gloo
    launch = [
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launch += [
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
    ]
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launch, "several.py"],
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    weights = torch.load(tmp_path / "vae.pt", weights_only=True)
    VAENetwork(n_components=16).load_state_dict(weights)


def losses():
    """Each loss of the library that draws, with a network and rows for it."""
    from latent_book import critique, denoising, onwards, vae, variational

    D, x, runs = 6, torch.rand(8, 6), torch.rand(2, 8, 9)
    auto, belief = VAENetwork(D, 2, (4,)), variational.BeliefNetwork(D, 3)
    mean = torch.zeros(2, 1, 9)
    copier = critique.Coders(mean, 2, 9)
    unsure = critique.Coders(mean, 2, 9, uncertain=True)
    ladder = onwards.LadderNetwork(D, (3, 2), (4,))
    clean = partial(denoising.denoising_loss, sigma=0.1)
    return {
        "neg_elbo": (vae.neg_elbo, auto, x),
        "neg_iwae": (partial(vae.neg_iwae, k=3), auto, x),
        "denoising_loss": (clean, nn.Linear(D, D), x),
        "noise_loss": (onwards.noise_loss, onwards.NoiseNetwork(D, (4,)), x),
        "ladder_loss": (onwards.ladder_loss, ladder, x),
        "wake_sleep_loss": (variational.wake_sleep_loss, belief, x),
        "nvil_loss": (variational.nvil_loss, belief, x),
        "copy_loss": (partial(critique.copy_loss, sigma=0.1), copier, runs),
        "bound_loss": (critique.bound_loss, unsure, runs),
        "shifted": (lambda _, x, chance: critique.shifted(x, chance), copier, runs),
    }


class Draws(TorchFunctionMode):
    """Notes where each draw is made."""

    def __init__(self):
        super().__init__()
        self.devices = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if (kwargs or {}).get("generator") is not None:
            self.devices.append(made.device.type)
        return made


@pytest.mark.parametrize("name", losses())
def test_a_loss_draws_where_its_rows_are(name):
    """A generator on a GPU makes no numbers elsewhere; torch's device without numbers
    finds such a place without one.
    """
    loss, network, x = losses()[name]
    with Draws() as draws:
        answer = loss(network.to("meta"), x.to("meta"), torch.Generator())
    assert answer.device.type == "meta"
    assert set(draws.devices) == {"meta"}


def weighted(beta):
    """A loss with a number of the function around it."""
    return lambda model, x, generator: beta * model(x).square().mean()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"X": lambda X: X.flip(0)}, "data was"),
        ({"loss": lambda _: partial(scaled, beta=2.0)}, r"\(beta was 1\.0, now 2\.0\)"),
        ({"loss": lambda _: weighted(1.0)}, "loss was .*scaled.*now .*weighted"),
        ({"lr": lambda lr: 2 * lr}, r"lr was 0\.001, now 0\.002"),
    ],
)
def test_a_checkpoint_is_of_one_loss_and_of_one_order_of_the_rows(
    X, change, told, tmp_path
):
    given = {"loss": partial(scaled, beta=1.0), "X": X[:64], "lr": 1e-3}

    def run(epochs, **given):
        with t.seeded(0):
            model = nn.Linear(X.shape[1], 1)
        place = tmp_path / "run"
        return t.train(
            model,
            epochs=epochs,
            checkpoint=place,
            progress=False,
            device="cpu",
            **given,
        )

    run(2, **given)
    run(2, **given)  # the same goes on, here with nothing left to do
    changed = {name: act(given[name]) for name, act in change.items()}
    with pytest.raises(ValueError, match=told):
        run(2, **{**given, **changed})


def scaled(model, x, generator, beta):
    """A loss with a weight."""
    return beta * model(x).square().mean()


def test_the_weight_of_a_closure_and_the_settings_of_an_estimator_tell_losses_apart():
    from latent_book.vae import VAE

    pairs = [
        (weighted(1.0), weighted(4.0)),
        (VAE(beta=1.0).get_loss, VAE(beta=4.0).get_loss),
        (lambda m, x, g: 1.0 * m(x).mean(), lambda m, x, g: 2.0 * m(x).mean()),
    ]
    for inner in (scaled, partial(scaled, beta=2.0), VAE(beta=4.0).get_loss):
        wrapper = wraps(inner)(lambda *given: None)
        assert t._named(wrapper, set()) == t._named(inner, set())
    for one, other in pairs:
        assert t._named(one, set()) != t._named(other, set())
    beside = {"device", "epochs"}
    longer = VAE(epochs=7, device="cpu").get_loss
    assert t._named(VAE().get_loss, beside) == t._named(longer, beside)


def test_a_history_is_told_in_a_line(X):
    assert repr(t.History()) == "History(0 epochs, 0 steps, finished)"
    with t.seeded(0):
        model = nn.Linear(X.shape[1], 1)
    loss = partial(scaled, beta=1.0)
    given = {"X_val": X[:50], "epochs": 3, "batch_size": 100, "progress": False}
    history = t.train(model, loss, X, device="cpu", **given)
    told = repr(history)
    assert "\n" not in told
    assert told.startswith(f"History(3 epochs, {len(history.steps)} steps, finished; ")
    assert f"held out {history.val_loss[history.best]:.4g} at epoch" in told


# --- runs that go on
# -------------------------------------------------------------------------------------


def go(model, X, epochs=3, loss=noisy_error, **more):
    """A run of five steps an epoch."""
    given = {"batch_size": 100, "lr": 3e-3, "device": "cpu", "progress": False}
    return t.train(model, loss, X, epochs=epochs, **{**given, **more})


unchecked = inspect.unwrap(t.train)  # as it is for whoever does not check types


def stop_in(epoch):
    """A hook that interrupts in the middle of an epoch."""

    def hook(run):
        if run.elapsed > epoch + 0.5:
            raise KeyboardInterrupt

    return hook


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.filterwarnings("ignore:interrupted")
def test_a_constant_run_of_more_epochs_is_the_longer_run(X, tmp_path, held_out):
    more = {"X_val": X[:50] if held_out else None, "schedule": "constant"}
    straight, part = net(dropout=0.2), net(dropout=0.2)
    whole = go(straight, X, 7, **more)
    place = tmp_path / "run"
    go(part, X, 2, checkpoint=place, **more)
    fresh = net(3, dropout=0.2)
    # five epochs are asked for, and the run dies in the third
    go(fresh, X, 5, checkpoint=place, on_batch_end=stop_in(3), **more)
    fresh = net(4, dropout=0.2)
    assert go(fresh, X, 7, checkpoint=place, **more) == whole
    assert same(fresh, straight)
    with pytest.raises(ValueError, match=r"\(epochs was 7, now 6\); delete it, or"):
        go(fresh, X, 6, checkpoint=place, **more)


@pytest.mark.filterwarnings("ignore:interrupted")
def test_a_cosine_of_more_epochs_begins_anew_and_dies_and_goes_on(X, tmp_path):
    def lengths(run):
        steps.append(run.optimizers[0].param_groups[0]["lr"])

    place, steps, runs = tmp_path / "run", [], []
    go(net(), X, 2, checkpoint=place, on_batch_end=lengths)
    shorter = place.read_bytes()
    assert steps == [3e-3 * 0.5 * (1 + math.cos(math.pi * k / 10)) for k in range(10)]
    for dying in (False, True):
        steps, model = [], net(5)
        place.write_bytes(shorter)
        if dying:
            go(net(6), X, 6, checkpoint=place, on_batch_end=stop_in(3))
            go(net(6), X, 6, checkpoint=place, on_batch_end=stop_in(4))
            runs.append((go(model, X, 6, checkpoint=place), model))
        else:
            history = go(model, X, 6, checkpoint=place, on_batch_end=lengths)
            runs.append((history, model))
            anew = [0.5 * (1 + math.cos(math.pi * k / 20)) for k in range(20)]
            assert steps == pytest.approx([3e-3 * a for a in anew])
    assert runs[0][0] == runs[1][0]
    assert same(runs[0][1], runs[1][1])


def judged(values):
    """A loss whose held-out values are given beforehand."""
    told = iter(values)

    def loss(model, x, generator):
        value = squared_error(model, x, generator)
        return value if model.training else 0 * value + next(told)

    return loss


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_run_that_ended_early_goes_on_and_patience_counts_anew(X, schedule, tmp_path):
    more = {
        "X_val": X[:50], "patience": 3, "schedule": schedule,
        "checkpoint": tmp_path / "run",
    }  # fmt: skip
    model = net()
    first = go(model, X, 10, judged([5.0, 3.0, 4.0, 4.0, 4.0]), **more)
    assert (first.stopped, first.best) == ("early", 1)
    again = net(3)
    assert go(again, X, 10, judged([]), **more) == first
    longer = go(again, X, 11, judged([4.0, 4.0, 4.0]), **more)
    assert longer.val_loss == [5.0, 3.0, *[4.0] * 6]
    assert (longer.stopped, longer.best) == ("early", 1)
    assert same(again, model)  # three epochs more did not better it
    last = go(again, X, 12, judged([4.0, 2.0, 4.0, 4.0]), **more)
    assert (last.stopped, last.best, len(last.loss)) == ("finished", 9, 12)


@pytest.mark.filterwarnings("ignore:interrupted")
def test_ctrl_c_in_a_hook_leaves_the_last_whole_epoch_in_the_file(X, tmp_path):
    def hook(run):
        if run.epoch == 3:
            raise KeyboardInterrupt

    place, model = tmp_path / "run", net()
    history = go(net(), X, 5, checkpoint=place, on_epoch_end=hook)
    assert history.stopped == "interrupted"
    assert history.best == 2
    seen = []
    after = go(
        model, X, 5, checkpoint=place, on_epoch_end=lambda r: seen.append(r.epoch)
    )
    assert seen == [4, 5]  # the epoch before the hook was whole
    straight = net()
    assert after == go(straight, X, 5)
    assert same(model, straight)


def by_step(model, x, generator, step):
    """A loss that another follows after some steps."""
    rising = 0.0 if step is None else min(1.0, step / 12)
    return noisy_error(model, x, generator) + rising * model(x).abs().mean()


@pytest.mark.parametrize("kind", ["step", "epoch"])
@pytest.mark.filterwarnings("ignore:interrupted")
def test_a_loss_with_a_warm_up_goes_on_where_it_was(X, kind, tmp_path):
    from latent_book.vae import VAE

    def fresh(seed=0):
        with t.seeded(seed):
            return net(seed, 0.1) if kind == "step" else VAENetwork(64, 2, (8,))

    loss = by_step if kind == "step" else VAE(warm_up=4).get_loss
    bits = (X > 0.5).float()
    more = {"loss": loss, "X_val": bits[:60], "checkpoint": tmp_path / "run"}
    straight, resumed = fresh(), fresh(3)
    whole = go(straight, bits, 5, **(more | {"checkpoint": None}))
    go(fresh(), bits, 5, on_batch_end=stop_in(2), **more)
    assert go(resumed, bits, 5, **more) == whole
    assert same(straight, resumed)


def test_what_was_agreed_with_torch_about_precision_changes_no_draw(X, tmp_path):
    def loss(model, x, generator):
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return (model(x + 0.1 * noise) - x).square().sum(1).mean()

    makers = {"adam": None, "sgd": partial(torch.optim.SGD, momentum=0.9),
              "adamw": torch.optim.AdamW}  # fmt: skip
    for name, optimizer in makers.items():
        single, double = net(dropout=0.2), net(dropout=0.2)
        more = {"loss": loss, "optimizer": optimizer, "schedule": "constant"}
        whole = go(single, X, 4, **more)
        go(double, X, 2, checkpoint=tmp_path / name, **more)
        torch.set_default_dtype(torch.float64)
        try:
            history = go(double, X, 4, checkpoint=tmp_path / name, **more)
            order = torch.cat(
                list(t.shuffled_batches(X, 100, torch.Generator().manual_seed(4)))
            )
        finally:
            torch.set_default_dtype(torch.float32)
        assert history == whole
        assert same(single, double)
        again = t.shuffled_batches(X, 100, torch.Generator().manual_seed(4))
        assert torch.equal(order, torch.cat(list(again)))


# --- runs after one another
# -------------------------------------------------------------------------------------


def test_a_run_after_another_counts_through_and_draws_anew(X):
    seen = []

    def loss(model, x, generator, step, epoch):
        if step is not None:
            noise = torch.rand(1, generator=generator).item()
            seen.append((step, epoch, noise, x[0].sum().item(), torch.rand(1).item()))
        return squared_error(model, x, generator)

    model, straight = net(), net()
    first = go(model, X, 2, loss, schedule="constant")
    both = go(model, X, 3, loss, schedule="constant", before=first)
    assert [at[0] for at in seen] == list(range(25))
    assert [at[1] for at in seen] == pytest.approx([k / 5 for k in range(25)])
    draws, seen = seen, []
    whole = go(straight, X, 5, loss, schedule="constant")
    assert draws == seen  # those of one run of five epochs
    assert both.loss[:2] == first.loss == whole.loss[:2]
    assert both.loss[2:] != whole.loss[2:]  # Adam remembers nothing
    assert (len(both.loss), len(both.steps), both.best) == (5, 25, 4)
    assert len(first.loss) == 2  # as it was


def test_the_best_is_counted_through(X):
    given = {"X_val": X[300:], "loss": squared_error, "schedule": "constant"}
    model = net()
    first = go(model, X, 10, **given)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    worse = go(model, X, 4, **(given | {"lr": 0.5}), before=first)
    assert worse.best == first.best
    assert len(worse.val_loss) == 14
    assert all(torch.equal(before[name], v) for name, v in model.state_dict().items())
    better = go(model, X, 4, **given, before=first, patience=2)
    assert better.best > first.best
    assert t.held_out_loss(model, squared_error, X[300:]) == pytest.approx(
        better.val_loss[better.best]
    )
    # of epochs that held nothing out, the history knows no such loss
    bare = go(model, X, 2, squared_error)
    mixed = go(model, X, 2, squared_error, before=bare, X_val=X[300:])
    assert [math.isnan(v) for v in mixed.val_loss] == [True, True, False, False]
    assert [math.isnan(v) for v in go(model, X, 1, before=mixed).val_loss][-1]
    with pytest.raises(TypeError, match="before is a list; pass the History"):
        unchecked(model, squared_error, X, before=[1.0])


@pytest.mark.filterwarnings("ignore:interrupted")
@pytest.mark.parametrize("held_out", [False, True])
def test_a_run_after_another_dies_and_goes_on(X, held_out, tmp_path):
    """Also after one that was interrupted, and to learn from other rows."""
    start, elapsed = net(dropout=0.1), []
    more = {"X_val": X[:50] if held_out else None, "batch_size": 60}
    first = go(start, X, 5, on_batch_end=stop_in(2), **more)
    assert first.stopped == "interrupted"
    more |= {"batch_size": 100, "before": first}
    go(net(), X, 1, on_batch_end=lambda r: elapsed.append(r.elapsed), **more)
    assert elapsed == [3.2, 3.4, 3.6, 3.8, 4.0]
    straight, dying, resumed = (net(k, dropout=0.1) for k in range(3))
    for model in (straight, dying, resumed):
        model.load_state_dict(start.state_dict())
    whole = go(straight, X, 4, **more)
    place = tmp_path / "run"
    go(dying, X, 4, on_batch_end=stop_in(5), checkpoint=place, **more)
    after = go(resumed, X, 4, checkpoint=place, **more)
    assert repr(after) == repr(whole)
    assert after.loss == whole.loss
    assert after.val_loss == pytest.approx(whole.val_loss, abs=0, rel=0, nan_ok=True)
    assert same(straight, resumed)
    longer = go(resumed, X, 6, checkpoint=place, **more)
    assert len(longer.loss) == len(first.loss) + 6
    with pytest.raises(ValueError, match=r"before was \[3, \d+\], now \[0, 0\]"):
        go(resumed, X, 4, checkpoint=place, **(more | {"before": None}))


@pytest.mark.filterwarnings("ignore:interrupted")
def test_weights_that_nothing_bettered_come_back_from_a_checkpoint(X, tmp_path):
    given = {
        "X_val": X[:50],
        "checkpoint": tmp_path / "run",
        "before": t.History([1.0]),
    }
    model, resumed = net(), net(3)
    values = [1.0, 4.0, 3.0]  # the first of the weights as they are
    go(model, X, 4, judged(values), on_batch_end=stop_in(3), **given)
    history = go(resumed, X, 4, judged([2.0, 2.5]), **given)
    assert history.val_loss[1:] == [4.0, 3.0, 2.0, 2.5]
    assert history.best == -1
    assert same(resumed, net())


def test_a_hook_may_end_the_run(X, tmp_path):
    place = tmp_path / "run"
    history = go(net(), X, 9, checkpoint=place, on_epoch_end=lambda run: run.epoch == 2)
    assert (len(history.loss), history.stopped) == (2, "early")
    assert go(net(), X, 9, checkpoint=place).stopped == "early"
    # what is no True is no wish
    assert len(go(net(), X, 3, on_epoch_end=lambda run: 1).loss) == 3


# --- other optimisers
# -------------------------------------------------------------------------------------

KINDS = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type)
    and name not in ("Optimizer", "LBFGS", "SparseAdam", "Muon")
} | {
    "momentum": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "amsgrad": partial(torch.optim.AdamW, amsgrad=True, weight_decay=0.1),
    "centred": partial(torch.optim.RMSprop, momentum=0.5, centered=True),
}


@pytest.mark.filterwarnings("ignore:interrupted")
@pytest.mark.parametrize("name", KINDS)
def test_any_optimiser_dies_and_goes_on(X, name, tmp_path):
    assert len(KINDS) > 12
    more = {"optimizer": KINDS[name], "checkpoint": tmp_path / "run", "grad_clip": 5.0}
    straight, resumed = net(dropout=0.1), net(3, dropout=0.1)
    whole = go(straight, X, 4, **(more | {"checkpoint": None}))
    go(net(dropout=0.1), X, 4, on_batch_end=stop_in(2), **more)
    assert go(resumed, X, 4, **more) == whole
    assert same(straight, resumed)
    with pytest.raises(ValueError, match=r"grad_clip was 5\.0, now None"):
        go(resumed, X, 4, **(more | {"grad_clip": None}))


def test_a_checkpoint_is_of_one_optimiser_with_its_settings(X, tmp_path):
    more = {"checkpoint": tmp_path / "run"}
    go(net(), X, optimizer=partial(torch.optim.SGD, momentum=0.9), **more)
    with pytest.raises(ValueError, match=r"\(momentum was 0\.9, now 0\.8\)"):
        go(net(), X, optimizer=partial(torch.optim.SGD, momentum=0.8), **more)
    with pytest.raises(ValueError, match=r"optimizers was .*SGD.*, now .*Adam"):
        go(net(), X, **more)
    sgd = partial(torch.optim.SGD, momentum=0.9)
    with pytest.raises(ValueError, match=r"\(lr was 0\.003, now 0\.1\)"):
        go(net(), X, lr=0.1, optimizer=sgd, **more)


@pytest.mark.parametrize(
    ("wrong", "error", "cure"),
    [
        ({"optimizer": lambda p, lr: None}, TypeError, "pass optimizer=torch.optim.Ad"),
        ({"optimizer": torch.optim.LBFGS}, ValueError, "or take Adam"),
        (
            {"optimizer": torch.optim.SGD, "optimizers": lambda m, lr: t.adam(m, lr)},
            ValueError,
            "not both",
        ),
        ({"grad_clip": 0.0}, ValueError, "above 0, such as 1.0, or None"),
        ({"grad_clip": math.nan}, ValueError, "above 0, such as 1.0, or None"),
    ],
)
def test_an_optimiser_that_is_none_is_told_so(X, wrong, error, cure):
    with pytest.raises(error, match=cure):
        go(net(), X, **wrong)
    made = torch.optim.SGD(net().parameters())
    with pytest.raises(TypeError, match="is a SGD; pass what makes one"):
        unchecked(net(), squared_error, X, optimizer=made)


class Forgetful(torch.optim.SGD):
    """Remembers what no file without code holds."""

    def step(self, closure=None):
        """One step."""
        super().step(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                self.state[weight]["seen"] = [1, 2]


class Late(torch.optim.SGD):
    """Remembers more later than at first."""

    def step(self, closure=None):
        """One step."""
        super().step(closure)
        weight = self.param_groups[0]["params"][0]
        memory = self.state[weight]
        if "n" in memory:
            memory["more"] = 1
        memory["n"] = 1


def test_what_no_checkpoint_can_hold_is_told(X, tmp_path):
    model = net()
    with pytest.raises(ValueError, match=r"Forgetful remembers more.*train without"):
        go(model, X, optimizer=Forgetful, checkpoint=tmp_path / "run")
    assert same(model, net())  # before the first step
    with pytest.raises(ValueError, match="other things of weight 0"):
        go(net(), X, optimizer=Late, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="cannot be told beforehand"):
        go(net(), X, optimizer=torch.optim.SparseAdam, checkpoint=tmp_path / "run")
    go(net(), X, optimizer=Forgetful)


@pytest.mark.parametrize("scaled_up", [1.0, 64.0])
def test_slopes_are_clipped_together(scaled_up):
    """By hand; also slopes that a scaler for 16 bits has made longer."""
    with t.seeded(0):
        line = nn.Linear(3, 2)
    twin = nn.Linear(3, 2)
    twin.load_state_dict(line.state_dict())
    x = torch.arange(12.0).reshape(4, 3)

    def loss(model, x, generator):
        return scaled_up * model(x).square().mean()

    def scaled_sgd(parameters, lr):
        made = torch.optim.SGD(parameters, lr=lr, fused=True)
        if scaled_up != 1:
            made.grad_scale = torch.tensor(scaled_up)
        return made

    t.train(
        line, loss, x, epochs=1, lr=0.1, schedule="constant", optimizer=scaled_sgd,
        grad_clip=0.5, progress=False, device="cpu",
    )  # fmt: skip
    loss(twin, x, None).backward()
    slopes = [weight.grad for weight in twin.parameters()]
    norm = math.sqrt(sum(slope.square().sum().item() for slope in slopes))
    assert norm > 2 * scaled_up
    for after, weight, slope in zip(
        line.parameters(), twin.parameters(), slopes, strict=True
    ):
        wanted = weight - 0.1 * slope * 0.5 / norm
        torch.testing.assert_close(after, wanted.detach(), rtol=1e-4, atol=1e-6)


def test_small_slopes_are_left_alone(X):
    free, clipped = net(), net()
    assert go(free, X) == go(clipped, X, grad_clip=1e6)
    assert same(free, clipped)


# --- loaders
# -------------------------------------------------------------------------------------


def loader(*parts, **more):
    """A loader of torch's, of rows."""
    rows = torch.utils.data.TensorDataset(*parts)
    given = {"batch_size": 100, "shuffle": True}
    return torch.utils.data.DataLoader(rows, **{**given, **more})


def test_a_loader_that_does_not_shuffle_is_the_loop_by_hand(X):
    ours, plain = net(), net()
    adam = torch.optim.Adam(plain.parameters(), lr=3e-3, fused=True)
    losses = []
    for _ in range(2):
        for x in X.split(60):
            loss = squared_error(plain, x, None)
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
    history = go(
        ours, loader(X, batch_size=60, shuffle=False), 2, squared_error,
        schedule="constant", X_val=loader(X, batch_size=70),
    )  # fmt: skip
    assert history.steps == pytest.approx(losses, rel=1e-6)
    assert t.held_out_loss(ours, squared_error, X) == pytest.approx(
        history.val_loss[-1], rel=1e-5
    )
    weights = [60] * 8 + [20]
    assert history.loss[0] == pytest.approx(np.average(losses[:9], weights=weights))


def of_pairs(model, x, y, generator):
    """A loss of two tensors."""
    noise = torch.randn(x.shape, generator=generator)
    return (model(x + 0.1 * noise) - y).square().mean()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:interrupted")
def test_a_loader_is_reproducible_and_goes_on(X, workers, tmp_path):
    def given():
        return loader(X, X.flip(1), num_workers=workers)

    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(runs))  # the state outside is of no consequence
        before = torch.random.get_rng_state()
        model = net(dropout=0.1)
        more = {"random_state": seed, "X_val": given()}
        runs.append((go(model, given(), 2, of_pairs, **more), model))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert runs[0][0] == runs[1][0] != runs[2][0]
    assert same(runs[0][1], runs[1][1])
    resumed, more = net(4, dropout=0.1), {"checkpoint": tmp_path / "run"}
    more["X_val"] = given()
    go(net(dropout=0.1), given(), 2, of_pairs, on_batch_end=stop_in(1), **more)
    # the batch size of the call is not used
    after = go(resumed, given(), 2, of_pairs, batch_size=7, **more)
    assert after == runs[0][0]
    assert same(resumed, runs[0][1])
    with pytest.raises(ValueError, match=r"\(batch_size was 100, now 50\)"):
        go(resumed, loader(X, X, batch_size=50), 2, of_pairs, **more)
    with pytest.raises(ValueError, match="sampler was RandomSampler, now SequentialS"):
        go(resumed, loader(X, X, shuffle=False), 2, of_pairs, **more)


class Stream(torch.utils.data.IterableDataset):
    """Rows that come one after the other."""

    def __init__(self, X, n=None):
        self.X = X
        if n is not None:
            self.__class__ = Counted
        self.n = n

    def __iter__(self):
        return iter(self.X)


class Counted(Stream):
    """A stream that says how long it is."""

    def __len__(self):
        return self.n


def test_a_stream_says_how_long_it_is(X):
    def of(stream):
        return torch.utils.data.DataLoader(stream, batch_size=100)

    with pytest.raises(
        ValueError, match=r"Stream of the DataLoader.*give it a __len__"
    ):
        go(net(), of(Stream(X)))
    assert len(go(net(), of(Stream(X, 500)), 2).steps) == 10
    with pytest.raises(ValueError, match="gave 5 batches, and its length is 7"):
        go(net(), of(Stream(X, 700)))
    with pytest.raises(ValueError, match="has no batch"):
        go(net(), loader(X[:50], drop_last=True))


def test_batches_of_a_loader_that_are_none(X):
    def of(collate):
        return loader(X, collate_fn=collate)

    for wrong in (lambda rows: {"x": X}, lambda rows: X.numpy(), lambda rows: [X, "a"]):
        with pytest.raises(TypeError, match="give it a collate_fn that makes a tensor"):
            go(net(), of(wrong))
    with pytest.raises(ValueError, match="as many rows each"):
        go(net(), of(lambda rows: (X, X[:3])))
    broken = X.clone()
    broken[77] = math.nan
    with pytest.raises(t.DivergedError, match="no batch of the loader has a NaN"):
        go(net(), loader(broken))


# --- a place for the checkpoint
# -------------------------------------------------------------------------------------


def test_a_place_that_is_none_is_told_before_any_training(X, tmp_path, monkeypatch):
    def never(model, x, generator):
        raise AssertionError("it trains")

    (tmp_path / "file").write_text("")
    for place, error, cure in [
        (tmp_path / "no" / "run", FileNotFoundError, "no folder .*no; make it"),
        (tmp_path, IsADirectoryError, "pass a file in it"),
        (tmp_path / "file" / "run", NotADirectoryError, "is no folder; pass another"),
    ]:
        with pytest.raises(error, match=cure):
            go(net(), X, loss=never, checkpoint=place)
    monkeypatch.setattr(os, "access", lambda place, how: False)
    with pytest.raises(PermissionError, match="in a folder of yours"):
        go(net(), X, loss=never, checkpoint=tmp_path / "run")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    go(net(), X, 1, checkpoint="here")
    assert (tmp_path / "here").is_file()


# --- a row alone
# -------------------------------------------------------------------------------------


def test_a_row_alone_is_no_batch():
    X = torch.rand(257, 4)
    with t.seeded(0):
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 4))
    sizes = []

    def loss(model, x, generator):
        sizes.append(len(x))
        return (model(x) - x).square().mean()

    history = go(model, X, 2, loss, batch_size=128)
    assert sizes == [128, 129] * 2
    assert len(history.steps) == 4
    sizes.clear()
    go(model, X, 1, loss, batch_size=128, drop_last=True)
    go(model.eval(), X[:2], 1, noisy_error, batch_size=2)
    assert sizes == [128, 128]
    line = nn.Linear(4, 4)
    assert len(go(line, X[:3], 1, batch_size=1).steps) == 3
    assert len(go(line, X[:1], 1, batch_size=8).steps) == 1
