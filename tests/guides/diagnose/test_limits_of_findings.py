"""Each number that decides on a finding, on both sides of it. Most curves have no noise, so that values are known by hand."""

import numpy as np
import pytest

from lossctl.guides.diagnose import detectors
from lossctl.guides.diagnose.detectors import _falls, _local_spread, _restarts, diagnose, not_falling, plateau
from lossctl.guides.diagnose.history import Curve, History, Series, blocks_of, numbered
from lossctl.guides.diagnose.reading import blank_losses


def series(*parts):
    """The parts one after another, at steps from 1 on."""
    values = np.concatenate([np.atleast_1d(np.asarray(part, float)) for part in parts])
    return Series(np.arange(1.0, len(values) + 1), values)


def times(value, count):
    return np.full(count, float(value))


def wave(size, count, half=1):
    """`half` values below 0, `half` above it, and so on."""
    return size * np.where(np.arange(count) // half % 2, 1.0, -1.0)


def seen(look, loss, **more):
    """What one look finds in a run."""
    return list(look(History(loss, **more), Curve(loss.finite())))


def ordered(inversions, count=8):
    """The numbers from 0 to `count` - 1, of which so many pairs fall."""
    left, order = list(range(count)), []
    for place in range(count):
        step = min(inversions, count - 1 - place)
        order.append(left.pop(step))
        inversions -= step
    return np.array(order)


def test_ten_losses_are_a_curve():
    assert diagnose(History(series(np.linspace(2, 1, 10)))) == []


@pytest.mark.parametrize(("count", "blocks"), [(5, 8), (35, 8), (36, 9), (159, 39), (160, 40), (200, 40)])
def test_a_block_has_four_values(count, blocks):
    assert blocks_of(count, 40) == blocks


def test_levels_of_a_curve_by_hand():
    curve = Curve(series([10, 0, 10, 0], times(1, 36)))
    assert (curve.start, curve.end, curve.drop, curve.descent) == (10, 1, 9, 4)
    assert len(Curve(series(np.arange(400.0))).levels) == 40
    assert Curve(series(times(4, 40))).scale == 1
    assert Curve(series(times(4, 4), times(2.9, 36))).scale == pytest.approx(1.1)


@pytest.mark.parametrize(("count", "end"), [(60, 58), (79, 77), (80, 77.5), (100, 97)])
def test_the_end_is_a_twentieth_and_three_values_at_least(count, end):
    assert Curve(series(np.arange(float(count)))).end == end


@pytest.mark.parametrize(("drop", "count"), [(0.0095, 1), (0.0105, 0)])
def test_a_decrease_below_a_hundredth_is_none(drop, count):
    assert len(seen(not_falling, series(times(1, 3), times(1 - drop, 37)))) == count


@pytest.mark.parametrize(("drop", "wanted"), [(0.058, False), (0.061, True)])
def test_first_values_lie_four_spreads_above_the_lowest(drop, wanted):
    # Half of the values lie 0.01 from their median: four times 1.4826 of that is 0.0593.
    assert _falls(Curve(series(times(1 + drop, 3), 1 + wave(0.01, 37)))) == wanted


@pytest.mark.parametrize(
    ("count", "inversions", "wanted"),
    # Mann's z of 8 levels is (28 - 2 inversions + 1) / 8.083: -1.86, -2.10, -2.60 and -2.85.
    [(29, 22, False), (29, 23, True), (30, 23, False), (30, 25, False), (30, 26, True)],
)
def test_a_trend_falls_surely(count, inversions, wanted):
    sizes = np.diff(np.linspace(0, count, 9).astype(int))
    # Levels that differ less than the values of each, so that the first values say nothing.
    blocks = [level + np.linspace(-1, 1, size) for level, size in zip(0.01 * ordered(inversions), sizes, strict=True)]
    assert _falls(Curve(series(*(10 + block for block in blocks)))) == wanted


@pytest.mark.parametrize(("count", "found"), [(29, 0), (30, 1)])
def test_thirty_values_may_be_a_plateau(count, found):
    assert len(seen(plateau, series(times(1, 5), times(0.9, count - 5)))) == found


@pytest.mark.parametrize(("height", "found"), [(0.69, 0), (0.71, 1)])
def test_a_plateau_is_seven_tenths_high(height, found):
    assert len(seen(plateau, series(times(1, 5), times(height, 35)))) == found


@pytest.mark.parametrize(("improved", "found"), [(0.0185, 1), (0.0205, 0)])
def test_an_improvement_is_two_percent_of_the_height(improved, found):
    assert len(seen(plateau, series(times(1, 20), times(0.9 + improved, 20), times(0.9, 20)))) == found


@pytest.mark.parametrize(("improved", "found"), [(1.55, 1), (1.75, 0)])
def test_an_improvement_is_two_standard_errors(improved, found):
    # Ten values that lie 1 from their median, twice: 2 x 1.2533 x 1.4826 x sqrt(2 / 10) is 1.662.
    loss = series(times(20, 20), 18 + improved + wave(1, 20), 18 + wave(1, 20))
    assert len(seen(plateau, loss)) == found


@pytest.mark.parametrize(("rate", "found"), [(1.09, 1), (1.11, 0)])
def test_a_rate_is_constant_within_a_tenth(rate, found):
    lr = series(times(1, 30), times(rate, 10))
    assert len(seen(plateau, series(times(1, 5), times(0.9, 35)), lr=lr)) == found


@pytest.mark.parametrize(("loss", "told"), [(10.0, False), (10.5, True)])
def test_a_loss_has_grown_where_it_is_ten_times_its_median(loss, told):
    (finding,) = seen(detectors.not_finite, series(times(1, 20), loss, times(1, 4), np.nan))
    assert ("the loss had grown" in finding.evidence) == told


def test_only_the_last_five_losses_tell_what_came_before():
    (finding,) = seen(detectors.not_finite, series(times(1, 20), 99, times(1, 5), np.nan))
    assert "had grown" not in finding.evidence


@pytest.mark.parametrize(("size", "found"), [(0.075, 0), (0.081, 1)])
def test_a_swing_is_a_quarter_of_half_the_start(size, found):
    # It starts at 1 - size and does not fall: 1.4826 size / (0.5 (1 - size)) is 0.25 at 0.0778.
    assert len(seen(detectors.oscillating, series(1 + wave(size, 40)))) == found


@pytest.mark.parametrize(("runs", "found"), [(12, 0), (14, 1)])
def test_a_swing_crosses_the_falling_curve_twelve_times(runs, found):
    assert len(seen(detectors.oscillating, series(1 + wave(0.3, 4 * runs, half=4)))) == found


@pytest.mark.parametrize(("height", "found"), [(0.29, 0), (0.31, 1)])
def test_a_jump_is_three_tenths_of_the_decrease(height, found):
    assert len(seen(detectors.jumping, series(times(2, 10), times(1, 30), times(1 + height, 10)))) == found


@pytest.mark.parametrize(
    ("count", "lasting", "height", "found"), [(39, 1, 0.7, 0), (39, 2, 0.5, 1), (40, 2, 0.7, 0), (40, 3, 0.5, 1)]
)
def test_a_jump_lasts_for_most_of_three_values_and_of_five_in_long_runs(count, lasting, height, found):
    loss = series(times(2, 10), times(1, 15), times(1 + height, lasting), times(1, count - 25 - lasting))
    assert len(seen(detectors.jumping, loss)) == found


@pytest.mark.parametrize(("count", "found"), [(11, 0), (12, 1)])
def test_a_curve_of_twelve_values_may_jump(count, found):
    assert len(seen(detectors.jumping, series(times(2, 3), times(1, 4), times(1.5, count - 7)))) == found


@pytest.mark.parametrize(("height", "found"), [(0.29, 0), (0.31, 1)])
def test_one_step_is_three_times_any_other(height, found):
    # Rises of 0.1 from value to value hide all but a step of its own size.
    loss = series(1 + wave(0.05, 27, half=3), times(0.95, 6), times(0.95 + height, 6))
    assert len(seen(detectors.jumping, loss)) == found


@pytest.mark.parametrize(("size", "quiet"), [(149, 0), (150, 50)])
def test_noise_is_local_to_fifty_rises(size, quiet):
    # A part has the noise of its neighbours too: the third of three parts is far enough from the first.
    spread = _local_spread(np.concatenate([np.tile([-1.0, 1.0], 25), np.zeros(size - 50)]))
    assert np.count_nonzero(spread == 0) == quiet


@pytest.mark.parametrize(
    ("before", "around", "wanted"),
    [([1, 0.5], 0.74, False), ([1, 0.5], 0.76, True), ([1, 0.5], 1.0, True), ([1, 0.5], 1.01, False), ([0.5], 1.0, False)],
)
def test_a_warm_restart_returns_to_a_height_that_was(before, around, wanted):
    rate = series(before, around)
    assert _restarts(rate, len(before) + 1.0, len(before) + 2.0) == wanted


@pytest.mark.parametrize(("level", "found"), [(2.95, 0), (3.05, 1)])
def test_a_loss_that_ends_at_three_times_its_first_value_is_lost(level, found):
    assert len(seen(detectors.diverging, series(1, times(level, 39)))) == found


@pytest.mark.parametrize(
    ("peak", "level", "count", "found"),
    [
        (2.95, 1.02, 40, 0),
        (3.05, 1.02, 40, 1),
        # For good: more than a hundredth above the first value.
        (4, 1.0095, 40, 0),
        (4, 1.0105, 40, 1),
        # Six values behind the peak.
        (4, 1.02, 5, 0),
        (4, 1.02, 6, 1),
    ],
)
def test_a_loss_that_never_comes_back_is_lost(peak, level, count, found):
    assert len(seen(detectors.diverging, series(1, peak, times(level, count)))) == found


@pytest.mark.parametrize(("below", "found"), [(2, 1), (3, 0)])
def test_a_twentieth_of_the_values_may_come_back(below, found):
    tail = times(1.02, 40)
    tail[[1, 17, 33][:below]] = 0.5
    assert len(seen(detectors.diverging, series(1, 4, tail))) == found


@pytest.mark.parametrize(("rise", "found"), [(0.48, 0), (0.52, 1)])
def test_a_divergence_is_half_of_the_decrease(rise, found):
    assert (
        len(seen(detectors.diverging, series(times(2, 5), times(1, 5), np.linspace(1, 1 + rise, 60), times(1 + rise, 5))))
        == found
    )


@pytest.mark.parametrize(("rise", "found"), [(0.87, 0), (0.93, 1)])
def test_a_rise_that_was_made_before_and_lost_again_is_a_swing(rise, found):
    # Between 1.5 times the rise of 0.6 before the lowest level lies 0.9.
    loss = series(times(2, 10), times(1.2, 10), times(1.8, 10), times(1, 10), np.linspace(1, 1 + rise, 60), times(1 + rise, 10))
    assert len(seen(detectors.diverging, loss)) == found


@pytest.mark.parametrize(("share", "step"), [(0.145, 13), (0.155, 9)])
def test_a_divergence_begins_above_three_twentieths_of_the_rise(share, step):
    # 40 levels of four values; the third and the fourth are `share` of the rise above the lowest.
    levels = np.concatenate([[2, 1, 1 + share, 1 + share], np.linspace(1.3, 2, 36)])
    (finding,) = seen(detectors.diverging, series(np.repeat(levels, 4)))
    assert finding.first == pytest.approx(step, abs=4)
    assert (finding.first > 8) == (share < 0.15)


@pytest.mark.parametrize(("count", "found"), [(29, 0), (30, 1)])
def test_thirty_learning_rates_are_looked_at(count, found):
    rate = times(1, count)
    rate[20] = 20
    assert len(seen(detectors.spiking, series(times(1, count)), lr=series(rate))) == found


@pytest.mark.parametrize(("height", "lasting", "found"), [(2.9, 1, 0), (3.1, 1, 1), (3.1, 3, 1)])
def test_a_spike_is_three_times_as_high_for_three_steps(height, lasting, found):
    rate = times(1, 60)
    rate[30 : 30 + lasting] = height
    # Not above all rates before it, or it would be a leap.
    rate[0] = 10
    assert len(seen(detectors.spiking, series(times(1, 60)), lr=series(rate))) == found


def test_what_lasts_longer_is_no_spike():
    rate = times(1, 60)
    rate[30:34], rate[0] = 3.1, 10
    assert seen(detectors.spiking, series(times(1, 60)), lr=series(rate)) == []


def test_a_spike_stands_out_from_five_rates_behind_it():
    for gap, found in ((3, 0), (6, 1)):
        rate = times(1, 60)
        rate[0], rate[30], rate[30 + gap :] = 10, 4, 2
        assert len(seen(detectors.spiking, series(times(1, 60)), lr=series(rate))) == found


@pytest.mark.parametrize(("spikes", "height", "found"), [(2, 5.0, 2), (3, 5.0, 0), (3, 10.5, 3)])
def test_three_spikes_of_one_height_are_a_schedule(spikes, height, found):
    rate = times(1, 60)
    rate[0] = 20
    rate[20 : 20 + 10 * spikes : 10] = 5
    rate[20] = height
    assert len(seen(detectors.spiking, series(times(1, 60)), lr=series(rate))) == found


@pytest.mark.parametrize(("at", "found"), [(9, 0), (10, 1)])
def test_warm_up_may_leap_in_the_first_tenth(at, found):
    assert len(seen(detectors.spiking, series(times(1, 100)), lr=series(times(1, at), times(9, 100 - at)))) == found


def dying(count=40, level=0.6, ratio=0.0, noise=0.0):
    """A loss that falls from 1 to `level`, and gradients that end at `ratio` of their start."""
    loss = series(times(1, 5), level + wave(noise, 35))
    return len(seen(detectors.dead, loss, grad_norm=series(times(1, 5), times(ratio, count - 5))))


@pytest.mark.parametrize(("count", "found"), [(9, 0), (10, 1)])
def test_ten_gradient_norms_can_die(count, found):
    assert dying(count) == found


@pytest.mark.parametrize(("ratio", "found"), [(0.95e-7, 1), (1.05e-7, 0)])
def test_a_dead_gradient_is_a_ten_millionth_of_its_start(ratio, found):
    assert dying(ratio=ratio) == found


@pytest.mark.parametrize(
    ("level", "noise", "found"),
    [
        # Half of the height is left.
        (0.51, 0, 1),
        (0.49, 0, 0),
        # Or a tenth, where it swings by 0.01 and ends below; and noise of 2.097 swings, more than a thousandth of the loss.
        (0.115, 0.01, 1),
        (0.105, 0.01, 0),
        (0.4, 0.4 * 0.00050, 1),
        (0.4, 0.4 * 0.00045, 0),
    ],
)
def test_gradients_may_vanish_where_nothing_is_left_to_learn(level, noise, found):
    assert dying(level=level, noise=noise) == found


def exploding(norms):
    return len(seen(detectors.exploding, series(times(1, len(norms))), grad_norm=series(norms)))


@pytest.mark.parametrize(("norm", "found"), [(29, 0), (31, 1)])
def test_an_explosion_is_thirty_times_the_median_before(norm, found):
    assert exploding(np.r_[times(1, 30), norm, times(1, 9)]) == found


@pytest.mark.parametrize(("at", "found"), [(14, 0), (15, 1)])
def test_fifteen_norms_come_before_an_explosion(at, found):
    assert exploding(np.r_[times(1, at), 99, times(1, 20)]) == found


@pytest.mark.parametrize(("height", "found"), [(4.6, 0), (4.9, 1)])
def test_an_explosion_is_eight_spreads_of_the_logarithm(height, found):
    # Logarithms swing by 0.2, and so does their running median, the other way: 8 x 1.4826 x 0.4 is 4.744.
    logs = wave(0.2, 60)
    logs[40] = 0.2 + height
    assert exploding(np.exp(logs)) == found


def validated(after, before=(2, 2), loss=None):
    """A validation loss of 1 in three steps, with what comes before and after it."""
    val = series(before, times(1, 3), after)
    return len(seen(detectors.overfitting, loss or series(np.linspace(2, 1, len(val))), val=val))


@pytest.mark.parametrize(("rise", "found"), [(0.095, 0), (0.105, 1)])
def test_overfitting_is_a_tenth_of_the_decrease(rise, found):
    assert validated([*np.linspace(1, 1 + rise, 8), *times(1 + rise, 2)]) == found


def test_four_validations_come_after_the_best_of_six():
    # The best one has a neighbour on each side.
    assert validated(times(1.3, 2)) == 1
    assert validated(times(1.3, 1)) == 0
    assert validated(times(1.3, 3), before=()) == 1


@pytest.mark.parametrize(("inversions", "found"), [(3, 1), (4, 0)])
def test_overfitting_rises_steadily(inversions, found):
    # With the one below them, 6 validations make 15 pairs: Kendall's tau is 9/15 and 7/15.
    assert validated(1.3 + 0.001 * ordered(inversions, 5), before=()) == found


@pytest.mark.parametrize(("noise", "found"), [(0.075, 1), (0.085, 0)])
def test_overfitting_is_three_times_the_noise(noise, found):
    # A swing makes a noise of 1.4826 x 2 / sqrt(2) times its size: 0.5 is three times that at 0.0795.
    assert validated([1.49, *times(1.5, 3)], before=2 + wave(noise, 40)) == found


@pytest.mark.parametrize(("rise", "found"), [(0.095, 1), (0.105, 0)])
def test_the_training_loss_may_rise_by_a_tenth_of_its_decrease(rise, found):
    loss = series(times(2, 2), times(1, 10), times(1 + rise, 8))
    assert validated(1 + np.linspace(0.5, 0.6, 15), loss=loss) == found


def test_one_lucky_validation_is_not_the_best():
    val = series(2, 2, times(1.2, 3), 1.5, 1.5, 0.5, times(1.6, 8))
    (finding,) = seen(detectors.overfitting, series(np.linspace(2, 1, 16)), val=val)
    assert finding.first == 3


@pytest.mark.parametrize(("gaps", "steps", "wanted"), [(2, 4, False), (10, 19, True)])
def test_steps_that_repeat_in_more_than_half_of_the_rows_are_epochs(gaps, steps, wanted):
    assert numbered(np.cumsum(np.r_[0, np.zeros(gaps), np.ones(steps - gaps)]), np.ones(steps + 1, bool)) == wanted


@pytest.mark.parametrize(("blanks", "wanted"), [(2, 0), (3, 3)])
def test_three_blanks_at_the_end_are_losses(blanks, wanted):
    gaps = np.r_[np.zeros(10, bool), np.ones(blanks, bool)]
    assert np.count_nonzero(blank_losses(gaps, gaps, [])) == wanted


@pytest.mark.parametrize(("blanks", "wanted"), [(8, 0), (9, 9)])
def test_blanks_at_the_end_are_more_than_twice_those_between_losses(blanks, wanted):
    gaps = np.r_[np.tile([False, True, True, True, True], 4), False, np.ones(blanks, bool)]
    assert np.count_nonzero(blank_losses(gaps, gaps, [])) == wanted


@pytest.mark.parametrize(("blanks", "wanted"), [(2, 0), (3, 3)])
def test_three_blanks_are_losses_where_they_are_the_only_gap(blanks, wanted):
    gaps = np.r_[np.zeros(5, bool), np.ones(blanks, bool), np.zeros(5, bool)]
    assert np.count_nonzero(blank_losses(gaps, gaps, [])) == wanted
