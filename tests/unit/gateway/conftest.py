from hypothesis import settings

# Several test processes share few cores: a slow example is no failure.
settings.register_profile("ostiary", deadline=None)
settings.load_profile("ostiary")
