import threading

import pytest

from lossctl.engine.threads import AHEAD, FEW, in_lanes, in_turn, lanes


@pytest.mark.parametrize("jobs", [-1, 0, 1, 2, 3, 50])
@pytest.mark.parametrize("count", [0, 1, FEW - 1, FEW, 41])
def test_results_come_in_the_order_of_items(count, jobs):
    assert in_lanes(lambda item: item * item, range(count), jobs) == [item * item for item in range(count)]


@pytest.mark.parametrize("jobs", [1, 2, 3, 8])
def test_the_earliest_failure_is_raised(jobs):
    def work(item):
        if item in {11, 12, 13, 30}:
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match=r"^11$"):
        in_lanes(work, range(40), jobs)


def test_a_later_failure_does_not_keep_an_earlier_block_from_failing():
    later = threading.Event()

    def work(item):
        if item == 1:
            later.set()
            raise ValueError(item)
        if item == 0:
            assert later.wait(30)
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match=r"^0$"):
        in_lanes(work, range(FEW), 2)


def test_more_lanes_than_one_are_really_used():
    meeting = threading.Barrier(2, timeout=30)

    def work(item):
        if item < 2:
            meeting.wait()
        return threading.get_ident()

    assert len(set(in_lanes(work, range(FEW), 2))) == 2


def test_few_items_start_no_thread():
    assert set(in_lanes(lambda _: threading.get_ident(), range(FEW - 1), 4)) == {threading.get_ident()}


@pytest.mark.parametrize(("jobs", "at_least"), [(3, 3), (0, 1), (-2, 1)])
def test_lanes(jobs, at_least):
    assert lanes(jobs) >= at_least


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_are_handed_on_in_turn_and_few_are_held(jobs):
    made, taken, ahead = [], [], []

    def work(item):
        made.append(item)
        return item

    def take(result):
        ahead.append(len(made) - len(taken))
        taken.append(result)

    in_turn(work, range(300), jobs, take)
    assert taken == list(range(300))
    assert max(ahead) <= AHEAD + 2 * jobs + 1


def test_a_failure_in_turn_is_the_earliest_and_nobody_waits_for_ever():
    def work(item):
        if item in {31, 32}:
            raise ValueError(item)
        return item

    taken = []
    with pytest.raises(ValueError, match=r"^31$"):
        in_turn(work, range(400), 2, taken.append)
    assert taken == list(range(len(taken)))
    assert len(taken) <= 31
