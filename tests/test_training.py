"""The training module: the loop against one written by hand, runs that end early, and
two processes at work.
"""

import contextlib
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
    assert [len(b) for b in epoch] == [min(size, n - i) for i in range(0, n, size)]
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
        ({"loss": lambda _: partial(scaled, beta=2.0)}, r"loss was .*1\.0.*now .*2\.0"),
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
