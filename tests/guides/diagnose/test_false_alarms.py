"""Healthy runs give no findings, and planted faults give theirs; scripts/false_alarms prints the rates."""

import curves
import faulty
import pytest

from lossctl.guides.diagnose.detectors import diagnose
from lossctl.guides.diagnose.faults import FAULTS

ALARMS, FOUND = 0.05, 0.95


def alarm_rate(runs):
    return sum(bool(diagnose(curves.healthy(seed))) for seed in range(runs)) / runs


def rates(code, runs):
    """How often the planted fault is found, and how often something else is."""
    make, beside = faulty.PLANTED[code]
    found = [{finding.code for finding in diagnose(make(seed))} for seed in range(runs)]
    return sum(code in one for one in found) / runs, sum(bool(one - beside - {code}) for one in found) / runs


def test_healthy_runs_are_left_in_peace():
    assert alarm_rate(300) <= ALARMS


@pytest.mark.slow
def test_healthy_runs_are_left_in_peace_by_the_thousand():
    assert alarm_rate(2000) <= ALARMS


@pytest.mark.parametrize("code", faulty.PLANTED)
def test_planted_faults_are_found_and_no_others(code):
    found, others = rates(code, 60)
    assert found >= FOUND
    assert others <= ALARMS


@pytest.mark.slow
@pytest.mark.parametrize("code", faulty.PLANTED)
def test_planted_faults_are_found_by_the_hundred(code):
    found, others = rates(code, 500)
    assert found >= FOUND
    assert others <= ALARMS


def test_every_fault_of_the_table_is_planted():
    assert list(faulty.PLANTED) == list(FAULTS)


def test_simulated_runs_differ_and_are_reproducible():
    first, again, other = curves.healthy(1), curves.healthy(1), curves.healthy(2)
    assert first.loss.values.tolist() == again.loss.values.tolist()
    assert first.loss.values[:5].tolist() != other.loss.values[:5].tolist()


@pytest.mark.parametrize("seed", range(40))
def test_simulated_healthy_runs_do_fall(seed):
    values = curves.healthy(seed).loss.values
    assert values[-len(values) // 4 :].mean() < values[:3].mean()
