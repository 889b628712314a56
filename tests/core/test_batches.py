"""Training data: the same at every step whoever asks, and made ahead without hiding a fault."""

import threading
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from core.batches import AHEAD, Prefetch, batch
from core.model_config import CONFIGS
from core.train_config import TrainConfig

CONFIG = TrainConfig(CONFIGS["fast"], epochs=1, batch_size=2, frames=4, context_frames=1, seed=5)
FREE = replace(CONFIG, rollout=1.0)


class TestBatch:
    def test_targets_are_the_frames_after_the_inputs(self):
        inputs, targets = batch(CONFIG, 3, 0.0)
        assert inputs.shape == targets.shape == (2, 3, 64, 64, 1)
        assert inputs.dtype == targets.dtype == np.float32
        assert targets.max() == 1
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])

    def test_a_step_is_the_same_whenever_it_is_made(self):
        first = batch(CONFIG, 7, 0.0)
        batch(CONFIG, 8, 0.0)
        np.testing.assert_array_equal(batch(CONFIG, 7, 0.0)[0], first[0])
        assert (batch(CONFIG, 8, 0.0)[0] != first[0]).any()
        assert (batch(replace(CONFIG, seed=6), 7, 0.0)[0] != first[0]).any()

    def test_the_share_of_standard_clips_is_that_of_the_run(self):
        few, many = (
            batch(replace(CONFIG, batch_size=60, standard_share=share), 1, 0.0)[0] for share in (0.0, 1.0)
        )
        # clips of one to three digits differ more in their ink than clips of two
        assert few.sum(axis=(1, 2, 3, 4)).std() > 1.3 * many.sum(axis=(1, 2, 3, 4)).std()

    def test_rollouts_do_not_change_the_clips(self):
        (frames, free), targets = batch(FREE, 7, 0.5)
        plain = batch(CONFIG, 7, 0.0)
        np.testing.assert_array_equal(frames, plain[0])
        np.testing.assert_array_equal(targets, plain[1])
        assert free.shape == (2, 1)
        assert free.dtype == np.float32

    def test_who_runs_freely_is_drawn_by_the_step(self):
        config = replace(FREE, batch_size=8, frames=3)
        shares = [0.0, 0.25, 1.0]
        drawn = {share: [batch(config, step, share)[0][1] for step in range(60)] for share in shares}
        for step in (0, 41):
            np.testing.assert_array_equal(batch(config, step, 0.25)[0][1], drawn[0.25][step])
        means = {share: np.mean(drawn[share]) for share in shares}
        assert means[0.0] == 0
        assert means[1.0] == 1
        assert means[0.25] == pytest.approx(0.25, abs=0.08)  # 480 draws: 4 standard deviations
        assert len({free.tobytes() for free in drawn[0.25]}) > 20
        # who ran freely at a lower share still does at a higher one
        assert all((low <= high).all() for low, high in zip(drawn[0.25], drawn[1.0], strict=True))

    def test_a_forecast_sees_all_of_every_other_clip(self):
        config = replace(
            CONFIG, model=CONFIGS["best"], learn="forecast", batch_size=4, frames=8, context_frames=3
        )
        drawn = []
        for step in range(40):
            (frames, unseen), targets = batch(config, step, 0.0)
            plain = batch(replace(config, learn="all"), step, 0.0)
            np.testing.assert_array_equal(frames, plain[0])
            np.testing.assert_array_equal(targets, plain[1])
            assert not unseen[step % 2 :: 2].any()
            drawn += unseen[1 - step % 2 :: 2, 0].tolist()
        assert set(drawn) == {0, 1, 2}  # at least the last frame of the context is seen


@pytest.fixture
def prefetch():
    """Makes prefetches, and ends what a test leaves running."""
    made = []

    def make(*arguments):
        made.append(Prefetch(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def wait_for(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not happen within ten seconds"
        time.sleep(0.005)


class TestPrefetch:
    def test_batches_come_in_order_from_the_first_step(self, prefetch):
        assert list(islice(prefetch(lambda step: step, 40).batches(), 30)) == list(range(40, 70))

    def test_no_more_than_so_many_are_made_ahead(self, prefetch):
        made = []
        one = prefetch(lambda step: made.append(step) or step, 0)
        wait_for(lambda: len(made) > AHEAD)
        time.sleep(0.05)
        assert len(made) == AHEAD + 1  # the last waits for its place
        one.close()
        assert len(made) == AHEAD + 1

    def test_a_fault_in_the_thread_reaches_the_consumer_in_its_turn(self, prefetch):
        def make(step):
            if step == 3:
                raise ValueError("no digits")
            return step

        batches = prefetch(make, 0).batches()
        assert list(islice(batches, 3)) == [0, 1, 2]
        with pytest.raises(ValueError, match="no digits"):
            next(batches)

    @pytest.mark.parametrize("taken", [0, 5])
    def test_closing_ends_the_thread(self, prefetch, taken):
        before = threading.active_count()
        one = prefetch(lambda step: step, 0)
        list(islice(one.batches(), taken))
        one.close()
        assert threading.active_count() == before
        one.close()  # twice does no harm

    def test_a_consumer_that_waits_is_let_go(self, prefetch):
        """Keras asks for batches in a thread of its own, which would wait for ever."""
        allowed = threading.Event()

        def make(step):
            allowed.wait(10)
            return step

        one = prefetch(make, 0)
        taken = []
        consumer = threading.Thread(target=lambda: taken.extend(one.batches()), daemon=True)
        consumer.start()
        one._closed.set()
        allowed.set()
        one.close()
        consumer.join(timeout=10)
        assert not consumer.is_alive()
        assert taken in ([], [0])

    def test_a_slow_maker_is_waited_for(self, prefetch):
        def slow(step):
            time.sleep(0.02)
            return step

        one = prefetch(slow, 0)
        began = time.perf_counter()
        list(islice(one.batches(), 10))
        passed = time.perf_counter() - began
        assert 0.5 * passed < one.waited_seconds <= passed

    def test_a_fast_maker_is_not(self, prefetch):
        one = prefetch(lambda step: step, 0)
        wait_for(one._ready.full)
        began = time.perf_counter()
        for _ in islice(one.batches(), 10):
            time.sleep(0.02)
        assert one.waited_seconds < 0.2 * (time.perf_counter() - began)
