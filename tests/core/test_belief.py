"""The belief about a flight against brute force."""

import numpy as np
import pytest

from core import belief
from core.moving_mnist import standard_corners

FRAMES = 4


def some_path(seed):
    return standard_corners(np.random.default_rng(seed), 1, 1, FRAMES)[0, :, 0]


def shares(places):
    """How often each place occurs: {(x, y): share}."""
    different, counts = np.unique(places, axis=0, return_counts=True)
    return {
        tuple(place): count / len(places) for place, count in zip(different.tolist(), counts, strict=True)
    }


def by_rejection(seen, rng, tries=2_000_000):
    """Where the digit is one frame later, of all draws of the generator that agree with the frames seen."""
    low, high = np.maximum(seen[0] / 36 - 0.1, 0), np.minimum((seen[0] + 1) / 36 + 0.1, 1)  # a step is 0.1
    particles = np.column_stack([rng.uniform(low, high, (tries, 2)), rng.uniform(0, 2 * np.pi, tries)])
    for frames in range(1, len(seen) + 1):
        particles = particles[(belief.place(particles, frames)[-1] == seen[frames - 1]).all(axis=1)]
    return belief.place(particles, len(seen) + 1)[-1]


class TestBelief:
    def test_particles_see_what_the_generator_draws(self):
        rng = np.random.default_rng(3)
        corners = standard_corners(np.random.default_rng(3), 1, 1, 20)
        start, angle = rng.uniform(size=(1, 1, 2)), rng.uniform(0, 2 * np.pi, (1, 1))
        particle = np.array([[*start[0, 0], angle[0, 0]]])
        np.testing.assert_array_equal(belief.place(particle, 20)[:, 0], corners[0, :, 0])

    @pytest.mark.parametrize("seen", [(18, 7), (0, 20), (36, 36)])
    def test_after_one_frame_every_particle_is_in_its_pixel(self, seen):
        cloud = belief.first_belief(np.array(seen), 500, np.random.default_rng(0))
        assert (belief.place(cloud, 1)[0] == seen).all()
        assert ((cloud[:, :2] >= 0) & (cloud[:, :2] <= 1)).all()

    @pytest.mark.parametrize(("seed", "frames"), [(0, 1), (1, 2), (2, 3)])
    def test_expects_what_brute_force_expects(self, seed, frames):
        path = some_path(seed)
        expected = shares(by_rejection(path[:frames], np.random.default_rng(9)))
        next_places, _ = belief.predicted_places(path, 4000, np.random.default_rng(1), 2)
        found = shares(next_places[frames - 1])
        apart = sum(abs(expected.get(p, 0) - found.get(p, 0)) for p in expected.keys() | found.keys()) / 2
        assert apart < 0.12  # of 1; what is left is chance, in both

    def test_moves_keep_to_what_was_seen(self):
        path = some_path(5)
        rng = np.random.default_rng(0)
        cloud = belief.first_belief(path[0], 800, rng)
        cloud = belief.belief_after(cloud, path[:2], 500, rng)
        assert len(cloud) == 500
        assert (belief.place(cloud, 2) == path[:2, None]).all()
        assert len(np.unique(cloud, axis=0)) > 100  # copies have moved apart

    def test_spreads_from_a_motion_over_all_that_agree(self):
        path = some_path(7)
        rng = np.random.default_rng(0)
        motion = belief.belief_after(
            belief.first_belief(path[0], 4000, rng), path[:3], 50, np.random.default_rng(1)
        )[0]
        near = belief.belief_near(motion, path[:3], 2000, rng, belief.STANDARD_FLIGHT)
        expected = shares(by_rejection(path[:3], np.random.default_rng(9)))
        found = shares(belief.place(near, 4)[-1])
        apart = sum(abs(expected.get(p, 0) - found.get(p, 0)) for p in expected.keys() | found.keys()) / 2
        assert apart < 0.12

    def test_begins_again_with_more_where_none_is_left(self):
        next_places, _ = belief.predicted_places(some_path(4), 2, np.random.default_rng(0), 2)
        assert next_places.shape[1] > 2

    def test_it_says_when_nothing_explains_what_was_seen(self):
        """A digit that jumps back and forth is not one that flies."""
        seen = np.array([[3, 3], [20, 3], [3, 3]])
        with pytest.raises(belief.BeliefError, match=r"no motion with a step of 0\.1 was found"):
            belief.predicted_places(seen, 100_000, np.random.default_rng(0), 2)
