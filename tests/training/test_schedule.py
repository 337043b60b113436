import pytest

from znatok.training.schedule import peak_rate, rate_factor


def test_the_rate_warms_up_stays_and_decays_over_the_last_fifth():
    factors = [rate_factor("warmup_stable_decay", step, 100, 10) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert set(factors[10:80]) == {1.0}
    assert factors[80:] == pytest.approx([(100 - step) / 20 for step in range(80, 100)])


def test_the_linear_schedule_of_classic_falls_from_the_first_step():
    assert [rate_factor("linear", step, 4, 0) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_the_last_step_still_learns():
    assert rate_factor("warmup_stable_decay", 639, 640, 10) > 0


def test_a_wider_model_gets_a_lower_rate():
    assert peak_rate(576) == 1.3e-3
    assert peak_rate(2048) == pytest.approx(6.9e-4)
