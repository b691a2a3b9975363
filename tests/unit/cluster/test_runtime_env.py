"""``runtime_env.yaml`` through Ray's own checks of a job's environment."""

import pytest
from cluster_files import loaded
from ray.runtime_env import RuntimeEnv, RuntimeEnvConfig

CODE = {"working_dir": "s3://bucket/code.zip"}


@pytest.fixture
def env():
    return loaded("runtime_env.yaml")


def test_ray_accepts_it_and_every_option_is_one_of_ray(env):
    checked = RuntimeEnv(**env, **CODE)
    assert checked.env_vars() == env["env_vars"]
    assert checked["excludes"] == env["excludes"]
    # Ray would only warn about an option of the configuration that it does not know
    assert set(env["config"]) <= RuntimeEnvConfig.known_fields
    assert set(env) == {"excludes", "env_vars", "config"} <= RuntimeEnv.known_fields


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"env_vars": {"PYTHONUNBUFFERED": 1}}, "must be of type Dict"),
        ({"excludes": "/runs*"}, "must be of type List"),
        ({"config": {"setup_timeout_seconds": "600"}}, "setup_timeout_seconds must be of type int"),
        ({"working_dir": 5}, "`working_dir` must be a string"),
    ],
)
def test_ray_refuses_a_broken_copy(env, broken, said):
    with pytest.raises(TypeError, match=said):
        RuntimeEnv(**(env | CODE | broken))


def test_no_keys_and_no_token(env):
    named = " ".join(env["env_vars"])
    assert not any(word in named for word in ("TOKEN", "SECRET", "AWS_", "GOOGLE_"))
