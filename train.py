"""Train a ConvLSTM on Moving MNIST: `python train.py --help`."""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
import signal
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import distributed, zoo
from core.command_line import (
    OneLineParser,
    check_backend,
    loading_keras,
    memory_words,
    named_path,
    out_of_memory,
)
from core.damage import shown
from core.growth import check_forecast, check_growth
from core.loss_weights import PARTS, VGG16_LAYERS
from core.model_config import CONFIGS
from core.outputs import OutputError
from core.run_locks import new_run, training_lock
from core.run_status import Status
from core.runs import Run, RunError
from core.train_config import (
    BEGINNINGS,
    DEFAULT_EPOCHS,
    LEARN,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    TrainConfig,
    default_config,
)
from core.weights import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.training import Progress, Trainer

DEFAULT_MODEL = "fast"
# A person's mistakes and damaged files: one line, no traceback.
EXPECTED_ERRORS = (RunError, WeightsError, zoo.ModelError, OutputError, ValueError, OSError)
# Options that are fields of TrainConfig.
MIXED = "mixed"  # of --digits: the usual mixture
SETTINGS = (
    "epochs",
    "steps_per_epoch",
    "batch_size",
    "frames",
    "digits",
    "standard_share",
    "optimizer",
    "learning_rate",
    "schedule",
    "warmup_steps",
    "clip_norm",
    "loss",
    "gdl_alpha",
    "perceptual_layer",
    "ema",
    "rollout",
    "rollout_rise",
    "context_frames",
    "learn",
    "precision",
    "patience",
    "validation_clips",
    *BEGINNINGS,
    "seed",
)


def parse_loss(text: str) -> dict[str, float]:
    """ "bce=10,gdl=0.1" as a mapping from part to weight."""
    parts: dict[str, float] = {}
    for item in text.split(","):
        name, equals, weight = (word.strip() for word in item.partition("="))
        try:
            value = float(weight) if equals else 1.0
        except ValueError:
            name = ""
        if not name or name in parts:
            raise argparse.ArgumentTypeError(
                f"loss must look like bce=10,gdl=0.1, each part once; got {text!r}"
            )
        parts[name] = value
    return parts


def parse_digits(text: str) -> int | str:
    """A number of digits, or `MIXED`."""
    try:
        return text if text == MIXED else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"digits must be a number or {MIXED}; got {text!r}") from None


def parse_rise(text: str) -> tuple[float, ...]:
    """ "0.1,0.7" as two shares."""
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"rollout rise must look like 0.1,0.7; got {text!r}") from None


def default_text(setting: str) -> str:
    """A setting's default: that of the default model, and of the models that differ."""
    values = {model: getattr(default_config(model), setting) for model in CONFIGS}
    usual = values[DEFAULT_MODEL]
    others = [f"{model} {_short(value)}" for model, value in values.items() if value != usual]
    return f"(default: {', '.join([_short(usual), *others])})"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{part}={weight:g}" for part, weight in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="train.py",
        allow_abbrev=False,
        description="Train a ConvLSTM to predict the next frame of Moving MNIST. Data is made on the fly "
        "from MNIST training digits and never repeats. The run folder holds configuration, history.csv, "
        "checkpoints, snapshots and TensorBoard events; a run that ended in any way goes on with --resume.",
        epilog="Ctrl-C and SIGTERM save and end; a second Ctrl-C ends at once. Exit status: 0 when trained "
        "or stopped, 1 when the training failed, 2 for bad input, 130 when interrupted before it could save; "
        "all but 0 with one line on standard error.",
    )
    add = parser.add_argument
    add(
        "--model",
        help=f"architecture: {', '.join(CONFIGS)} (default: {DEFAULT_MODEL}; resumed runs know theirs)",
    )
    add("--run-dir", type=named_path, help="folder of the run (default: runs/MODEL)")
    add("--resume", action="store_true", help="go on from the run's last checkpoint")
    plan = parser.add_argument_group(
        "plan", "learning rate and rollout share follow the plan; without any of these it is that of the "
        f"model, or {DEFAULT_EPOCHS} epochs"
    )  # fmt: skip
    plan.add_argument("--epochs", type=int, help="epochs of the whole run")
    plan.add_argument(
        "--steps-per-epoch", type=int, help=f"training steps an epoch {default_text('steps_per_epoch')}"
    )
    plan.add_argument(
        "--max-minutes",
        type=float,
        help="end this call cleanly after so many minutes, everything saved; in a new or finished run "
        "without --epochs and --plan-minutes this is the plan instead, whose clock starts when the graph is "
        "made: where a limit counts from the start, give both",
    )
    plan.add_argument(
        "--plan-minutes",
        type=float,
        help="minutes of training from here to the plan's end, over as many calls as it takes",
    )
    plan.add_argument(
        "--patience", type=int, help="end after so many epochs without a better validation PSNR"
    )
    data = parser.add_argument_group("data")
    data.add_argument("--batch-size", type=int, help=f"clips a step {default_text('batch_size')}")
    data.add_argument("--frames", type=int, help=f"frames of a training clip {default_text('frames')}")
    data.add_argument(
        "--digits",
        type=parse_digits,
        help=f"digits of every clip; {MIXED} is standard clips, and 1 to 3 digits at 0 to 7 px a frame "
        + default_text("digits").replace("None", MIXED),
    )
    data.add_argument(
        "--standard-share",
        type=float,
        help=f"how many of the {MIXED} clips are standard, 0 to 1 {default_text('standard_share')}",
    )
    data.add_argument(
        "--validation-clips",
        type=int,
        help=f"clips scored after each epoch {default_text('validation_clips')}",
    )
    data.add_argument("--seed", type=int, help="of weights and data (default: 0)")
    learning = parser.add_argument_group("learning")
    learning.add_argument(
        "--loss",
        type=parse_loss,
        help=f"weights of the loss's parts, {', '.join(PARTS)}; a name alone counts 1 {default_text('loss')}",
    )
    learning.add_argument("--gdl-alpha", type=float, help="exponent of the gradient difference (default: 1)")
    learning.add_argument(
        "--perceptual-layer",
        help="layer of VGG16 whose features the perceptual part compares: "
        f"{', '.join(VGG16_LAYERS)} (default: {VGG16_LAYERS[-1]})",
    )
    learning.add_argument("--optimizer", help=f"{', '.join(OPTIMIZERS)} (default: adam)")
    learning.add_argument(
        "--learning-rate", type=float, help=f"peak learning rate {default_text('learning_rate')}"
    )
    learning.add_argument("--schedule", help=f"{', '.join(SCHEDULES)} (default: cosine)")
    learning.add_argument("--warmup-steps", type=int, help="steps of rising rate (default: 50)")
    learning.add_argument("--clip-norm", type=float, help="largest norm of a gradient (default: 1)")
    learning.add_argument(
        "--ema", type=float, help="momentum of the weights' moving average; 0 is without (default: 0.99)"
    )
    learning.add_argument(
        "--rollout",
        type=float,
        help="share of clips, at the end of the rise, that run on the network's own predictions after "
        "--context-frames true frames (default: 0, teacher forcing)",
    )
    learning.add_argument(
        "--rollout-rise",
        type=parse_rise,
        metavar="FROM,TO",
        help="shares of the plan between which that share rises (default: 0.1,0.7)",
    )
    learning.add_argument(
        "--learn",
        help=f"{', '.join(LEARN)}: everything, the network without its forecast, nothing but that, or "
        "nothing but how much it is trusted in rollouts or in known clips (default: all)",
    )
    learning.add_argument("--context-frames", type=int, help="true frames before a rollout (default: 5)")
    learning.add_argument(
        "--precision", help=f"{', '.join(PRECISIONS)} (default: auto: bfloat16 where the hardware has it)"
    )
    learning.add_argument(
        "--init-from",
        metavar="NAME_OR_PATH",
        help="start from the weights of a model of this architecture, or of the same with fewer filters",
    )
    learning.add_argument(
        "--average-with",
        metavar="NAME_OR_PATH",
        help="start from the mean of the weights of --init-from and of these, of the same architecture",
    )
    learning.add_argument(
        "--forecast-from",
        metavar="NAME_OR_PATH",
        help="start with the forecast of another model, of any layers; the trust in it is learned",
    )
    add(
        "--export",
        type=named_path,
        metavar="DIR",
        help="at the end write the best weights there as a model folder (float16)",
    )
    add(
        "--distributed",
        action="store_true",
        help="train with the processes of other hosts, each started with the same command: Keras' data "
        "parallelism on JAX, told by KERAS_DISTRIBUTION_JOB_ADDRESSES, _NUM_PROCESSES and _PROCESS_ID; "
        "the batch size is that of all of them, and the first process keeps the run",
    )
    add("--alongside", action="store_true", help="train even while another run of the folder is trained")
    return parser


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in SETTINGS if getattr(arguments, name) is not None}
    return {**given, "digits": None} if given.get("digits") == MIXED else given


def _plan_changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """The part of the settings that makes a new plan, where the options ask for one."""
    if arguments.epochs is not None:
        if arguments.plan_minutes is not None:
            raise ValueError("a plan is made in epochs or in minutes; got --epochs and --plan-minutes")
        return {"epochs": arguments.epochs, "minutes": None, "plan_from_minutes": 0.0}
    minutes = arguments.plan_minutes if arguments.plan_minutes is not None else arguments.max_minutes
    return {} if minutes is None else {"epochs": None, "minutes": minutes}


def new_config(arguments: argparse.Namespace) -> TrainConfig:
    """The configuration of a new run."""
    config = default_config(
        arguments.model or DEFAULT_MODEL, **{**_changes(arguments), **_plan_changes(arguments)}
    )
    if config.epochs is None and config.minutes is None:
        config = replace(config, epochs=DEFAULT_EPOCHS)
    return config


def resumed_config(arguments: argparse.Namespace, run: Run) -> TrainConfig:
    """The configuration of a run that goes on: its own, with what the options change."""
    config = run.read_config()
    if arguments.model not in (None, config.model.name):
        raise ValueError(f"{run.folder} is a run of {config.model.name}; got --model {arguments.model}")
    for name in BEGINNINGS:
        wanted, had = getattr(arguments, name), getattr(config, name)
        if run.checkpoint_path.exists() and wanted not in (None, had):
            raise ValueError(
                f"--{name.replace('_', '-')} is for a run that begins, and {run.folder} goes on from its own "
                f"checkpoint; it was begun with {had or 'none'}, got {wanted}"
            )
    done = run.checkpoint_state()
    finished = config.progress(done["step"], done["minutes"]) >= 1
    plan = {}
    if arguments.epochs is not None or arguments.plan_minutes is not None or finished:
        plan = _plan_changes(arguments)
        if plan.get("minutes") is not None:
            plan["plan_from_minutes"] = done["minutes"]
    return replace(config, **{**_changes(arguments), **plan})


def call_minutes(config: TrainConfig, run: Run, max_minutes: float | None) -> float | None:
    """Limit of this call; None where the plan ends first."""
    if max_minutes is None or config.minutes is None:
        return max_minutes
    left = config.plan_from_minutes + config.minutes - run.checkpoint_state()["minutes"]
    return None if left <= max_minutes else max_minutes


class Teller:
    """Prints a line an epoch, on a terminal also the steps between, in place; the log keeps the epochs."""

    def __init__(self, run: Run, silent: bool = False) -> None:
        self.run, self.silent = run, silent

    def line(self, text: str) -> None:
        """Print a line and keep it in the log."""
        if self.silent:
            return
        print(f"\r{text}" if sys.stdout.isatty() else text, flush=True)
        with suppress(OSError):  # where the disk is full, the next checkpoint says so
            self.run.say(text)

    def progress(self, progress: Progress) -> None:
        """Tell how far it is."""
        row = progress.row
        done = f"{progress.share:4.0%}  step {progress.step:6d}  {progress.minutes:6.1f} min"
        if row is not None:
            self.line(
                f"{done}  loss {row['loss']:.4f}  rate {row['learning_rate']:.1e}  epoch {row['epoch']:.0f}: "
                f"validation PSNR {row['val_psnr']:.2f} dB, SSIM {row['val_ssim']:.3f}"
            )
        elif sys.stdout.isatty() and not self.silent:
            left = "" if progress.seconds_left is None else f"  {progress.seconds_left / 60:.1f} min left "
            print(f"\r{done}  loss {progress.loss:.4f}{left}", end="", flush=True)


@contextmanager
def saving_when_told(trainer: Trainer) -> Iterator[None]:
    """SIGTERM and Ctrl-C save and end; a second Ctrl-C ends at once."""

    def stop(number: int, _: object) -> None:
        trainer.stop(f"Stopped by {signal.Signals(number).name}.")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Call:
    """One call of the command line, as far as it has come.

    Attributes
    ----------
    arguments : what it was asked
    run : what it trains
    trainer : None until all fits together
    ended_well : trained, or stopped when told
    """

    arguments: argparse.Namespace
    run: Run
    trainer: Trainer | None = None
    ended_well: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether a step was made."""
        return self.trainer is not None and self.trainer.step > self.trainer.first_step

    def worth_keeping(self) -> bool:
        """Whether a new run is to stay."""
        return self.ended_well or self.has_begun


def train(call: Call) -> int:
    """Train with the run's lock held; the exit status is 0 or 1."""
    arguments, run = call.arguments, call.run
    if arguments.resume:
        config, before = resumed_config(arguments, run), run.read_config()
    else:
        config = before = new_config(arguments)
        run.create(config)
    changed = config != before
    now = _changes(arguments) if changed else {}
    was = {name: getattr(before, name) for name in now if getattr(before, name) != now[name]}
    if run.read_status().state != "starting":  # then it is meant for this very process
        run.stop_path.unlink(missing_ok=True)
    run.write_status(replace(run.read_status(), state="starting", reason=""))
    # before Keras looks for devices
    workers = distributed.begin() if arguments.distributed else distributed.Workers()
    with loading_keras():
        import keras

        from core.precision import gpus

        gpus()  # TensorFlow says much where there are none
    from core.device import device_name
    from core.training import Trainer, TrainingError

    config = TrainConfig.from_json(workers.agree_on_text(config.to_json()))
    if not workers.first:  # it gets the weights that the first one begins with
        config = replace(config, init_from=None, average_with=None, forecast_from=None)
    limit = call_minutes(config, run, arguments.max_minutes) if workers.first else None
    trainer = Trainer(config, run, max_minutes=limit, resume=arguments.resume, workers=workers)
    call.trainer = trainer
    if changed:  # not before it is sure that the run can go on with it
        run.write_config(config)
    run.log_call(
        command=shlex.join(["python", "train.py", *arguments.given]),
        from_step=trainer.step,
        max_minutes=limit,
        changes={name: now[name] for name in was},
        was=was,
        backend=keras.backend.backend(),
        keras=keras.__version__,
        device=device_name(),
        precision=trainer.precision,
    )
    teller = Teller(run, silent=not workers.first)
    teller.line(
        f"{config.model.name}: {'goes on' if trainer.step else 'begins'} after step {trainer.step}, "
        f"{keras.backend.backend()}, {trainer.precision}, {run.folder}"
    )
    for name, value in was.items():
        teller.line(f"from here on {name.replace('_', ' ')} is {shown(now[name])}; it was {shown(value)}")
    if config.learn == "foresight":
        from core.foresight import KNOWN_CLIPS

        teller.line(f"{KNOWN_CLIPS} clips are predicted first, once: it learns from what was predicted")
    try:
        with saving_when_told(trainer):
            trainer.fit(teller.progress)
    except TrainingError as error:
        print(f"train.py: {error}", file=sys.stderr)
        with suppress(OSError):  # on a full disk the log takes no word either
            run.say(f"failed: {error}")
        return 1
    call.ended_well = True
    status = run.read_status()
    best = f"best validation PSNR {trainer.best_psnr:.2f} dB; " if trainer.epoch else ""
    teller.line(
        f"{config.model.name}: {status.state} after {trainer.step} steps and {trainer.minutes:.1f} minutes. "
        f"{status.reason and status.reason + ' '}{best}weights in {run.weights_path}"
    )
    return _export(run, arguments.export)


def _export(run: Run, folder: Path | None) -> int:
    """Write the best weights of a trained run where they are wanted, if they are; the exit status."""
    if folder is None:
        return 0
    with loading_keras():
        from core.training import export
    try:
        export(run, folder)
    except (OSError, WeightsError) as error:  # the run is none the worse for it
        print(f"train.py: trained, but not exported: {error}", file=sys.stderr)
        return 1
    print(f"exported to {folder}")
    return 0


@contextmanager
def _told_in_the_folder(call: Call) -> Iterator[None]:
    """What ends a training with an error is the reason in its run's status.

    What ends it before its first step leaves a run that goes on as it was, with the status that it had; but a
    page that has started it waits for a word.
    """
    run = call.run
    config = run.read_config() if call.arguments.resume else None
    status = _last_status(run)
    try:
        yield
    except BaseException as error:
        now = _last_status(run)
        if now.state in ("starting", "running") and run.config_path.exists():
            reason = _reason(call, error)
            with suppress(OSError):  # on a full disk what went wrong first is what counts
                if config is not None and not call.has_begun:
                    run.write_config(config)
                if config is not None and not call.has_begun and status.state != "starting":
                    run.keep_status(status)
                else:
                    run.write_status(replace(now, state="failed", reason=reason))
                run.say(f"failed: {reason}")
        raise


def _reason(call: Call, error: BaseException) -> str:
    if not isinstance(error, KeyboardInterrupt):
        return _sentence(error)
    return f"interrupted {'twice, before it could save' if call.has_begun else 'before its first step'}"


def _check_export(folder: Path | None, run: Run) -> None:
    """ValueError where weights could not be exported to, or of others would be lost, long before there are
    any.
    """
    if folder is None:
        return
    if folder.resolve() == run.folder.resolve():
        raise ValueError(
            f"export would overwrite the own weights of the run in {folder}; name another folder"
        )
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"export must name a folder, new or old; {folder} is a file")
    for name, what in (("config.json", "a run"), ("card.json", "a model with its card")):
        if (folder / name).exists():
            raise ValueError(f"export would overwrite the weights of {what} in {folder}; name another folder")


def _said_to_be_finished(run: Run) -> None:
    """A run may have ended after its last step and before it could say so."""
    status = _last_status(run)
    if status.state != "finished" and not run.is_alive():
        run.write_status(replace(status, state="finished", reason=""))


def _last_status(run: Run) -> Status:
    try:
        return run.read_status()
    except RunError:
        return Status("failed")


def check_beginning(config: TrainConfig) -> None:
    """One sentence (ValueError, ModelError) unless the weights that a run is to begin with fit it."""
    if config.init_from is not None:
        before = zoo.config_of(config.init_from)
        if replace(before, name=config.model.name) != config.model:
            check_growth(before, config.model)
    if config.average_with is not None:
        other = zoo.config_of(config.average_with)
        if replace(other, name=config.model.name) != config.model:
            raise ValueError(f"{config.average_with} is not of the architecture {config.model.name}")
    if config.forecast_from is not None:
        check_forecast(zoo.config_of(config.forecast_from), config.model)


def _assists(arguments: argparse.Namespace, stack: ExitStack) -> bool:
    """Whether another process keeps the run; this one does the same in a folder that nobody keeps."""
    if not arguments.distributed or distributed.number_of(os.environ) == 0:
        return False
    arguments.run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
    arguments.resume, arguments.export = False, None
    return True


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1, 2 or 130, see the help."""
    with ExitStack() as stack:
        return _main(argv, stack)


def _main(argv: list[str] | None, stack: ExitStack) -> int:
    try:
        arguments = build_parser().parse_args(argv)
        arguments.given = sys.argv[1:] if argv is None else argv
        assists = _assists(arguments, stack)
        call = Call(arguments, Run(arguments.run_dir or Path("runs") / (arguments.model or DEFAULT_MODEL)))
        finished = _checked(call, assists)
    except EXPECTED_ERRORS as error:
        print(f"train.py: {_sentence(error)}", file=sys.stderr)
        return 2
    try:
        return _export(call.run, arguments.export) if finished else _trained(call)
    except EXPECTED_ERRORS as error:
        print(f"train.py: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        saved = "what was saved before is intact, --resume goes on"
        kept = arguments.resume or call.worth_keeping()
        print(f"train.py: interrupted; {saved if kept else 'nothing was written'}", file=sys.stderr)
        return 130
    except Exception as error:
        if not out_of_memory(error):
            raise
        print(f"train.py: {_sentence(error)}", file=sys.stderr)
        return 1


def _checked(call: Call, assists: bool) -> bool:
    """Find what is wrong with the options before anything is touched and TensorFlow loads.

    Returns whether there is nothing left to train.
    """
    arguments, run = call.arguments, call.run
    check_backend()
    if arguments.max_minutes is not None and not 0 < arguments.max_minutes < math.inf:
        raise ValueError(f"--max-minutes must be a number above 0; got {arguments.max_minutes}")
    _check_export(arguments.export, run)
    if arguments.resume:
        config = resumed_config(arguments, run)
        state = run.checkpoint_state()
        if config.progress(state["step"], state["minutes"]) >= 1:
            if run.read_config().progress(state["step"], state["minutes"]) < 1:
                raise ValueError(
                    f"{run.name} stands after step {state['step']}, and with these options its plan would "
                    "end before that; give it more"
                )
            print(f"{run.name} is finished; give it more with --epochs, --plan-minutes or --max-minutes")
            _said_to_be_finished(run)
            return True
    else:
        config = new_config(arguments)
    if not assists and not (arguments.resume and run.checkpoint_path.exists()):
        check_beginning(config)
    if not arguments.resume:
        run.check_free()
    return False


def _trained(call: Call) -> int:
    alone = not call.arguments.alongside
    if call.arguments.resume:
        lock = training_lock(call.run, alone=alone)
    else:
        lock = new_run(call.run, call.worth_keeping, alone=alone)
    with lock, _told_in_the_folder(call):
        return train(call)


def _sentence(error: BaseException) -> str:
    """An error on one line; Keras' messages come with colours and many lines."""
    if out_of_memory(error):
        return (
            f"memory does not suffice ({memory_words(error)}); a smaller batch size, fewer frames or fewer "
            "validation clips need less"
        )
    words = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    return (
        words if isinstance(error, EXPECTED_ERRORS) else f"ended with {type(error).__name__}: {words[:300]}"
    )


if __name__ == "__main__":
    status = main()
    if status and "--distributed" in sys.argv:
        # JAX would wait for the other processes, and they for this one
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
