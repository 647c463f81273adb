"""How much Hypothesis tries: `make test` judges every change by the same examples, `make fuzz` looks for new ones."""

from hypothesis import HealthCheck, settings

# No deadlines: several test processes share few cores, and a slow example is no failure.
settings.register_profile("ostiary", deadline=None, derandomize=True)
settings.register_profile(
    "fuzz", deadline=None, max_examples=300, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ostiary")
