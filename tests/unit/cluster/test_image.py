"""``Dockerfile`` and ``requirements.txt``: what can be known of them without building."""

import re

import pytest
from cluster_files import FOLDER, ROOT, text
from packaging.requirements import Requirement


def instructions(content):
    """``(word, rest)`` of each instruction, continuation lines joined, comments dropped."""
    lines = [line for line in content.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def steps():
    return instructions(text("Dockerfile"))


def test_two_stages_of_the_same_python(steps):
    bases = [rest.split()[0] for word, rest in steps if word == "FROM"]
    assert bases == ["python:3.11-slim-bookworm"] * 2


def test_what_is_copied_exists(steps):
    sources = []
    for word, rest in steps:
        words = [part for part in rest.split() if not part.startswith("--chown")]
        if word == "COPY" and not words[0].startswith("--from"):
            sources += words[:-1]
    assert {"constraints.txt", "pyproject.toml", "cluster/requirements.txt", "jobs"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_installed_with_the_tested_versions(steps):
    (install,) = [rest for word, rest in steps if word == "RUN" and "requirements.txt" in rest]
    assert "--constraint constraints.txt --requirement cluster/requirements.txt" in install


def test_nobody_is_root_and_a_login_shell_finds_ray(steps):
    final = steps[max(i for i, (word, _) in enumerate(steps) if word == "FROM") :]
    assert [rest for word, rest in final if word == "USER"] == ["1000"]
    places = {word: i for i, (word, _) in enumerate(final)}
    assert places["USER"] > places["COPY"]
    setup = " ".join(rest for word, rest in final if word == "RUN")
    assert "--uid 1000" in setup
    # both the launcher and the operator start ray in a login shell, which forgets ENV PATH
    assert "/etc/profile.d/" in setup


def test_no_secrets_in_layers(steps):
    assert not re.search(r"TOKEN|SECRET|PASSWORD|AWS_", text("Dockerfile"))
    assert [word for word, _ in steps if word == "ADD"] == []


def test_requirements_agree_with_the_constraints():
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pinned[Requirement(line).name.lower()] = line.partition("==")[2]
    wanted = [
        Requirement(line)
        for line in (FOLDER / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert {requirement.name for requirement in wanted} >= {"ray", "boto3", "gcsfs"}
    for requirement in wanted:
        version = pinned.get(requirement.name.lower())
        assert version is None or requirement.specifier.contains(version), requirement
    # boto3 and botocore go together; botocore is pinned by what s3fs needs
    (boto3,) = [requirement for requirement in wanted if requirement.name == "boto3"]
    assert boto3.specifier.contains(pinned["botocore"])
