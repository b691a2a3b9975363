from collections import Counter

import pytest

from erase_ray.experiment.upkeep import secrets


def cleaned(text):
    found = Counter()
    return secrets.cleaned(text, found), dict(found)


@pytest.mark.parametrize(
    ("text", "left", "kind"),
    [
        ("at s3://me:word@host/b", "at s3://host/b", secrets.ADDRESS),
        ("https://x/y?sig=abcdef", "https://x/y?sig=***", secrets.ADDRESS),
        ("id AKIAABCDEFGHIJKLMNOP.", "id ***.", secrets.CREDENTIAL),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtn/EMI", "AWS_SECRET_ACCESS_KEY=***", secrets.CREDENTIAL),
        ("export AWS_SESSION_TOKEN='Fwo9aBcd'", "export AWS_SESSION_TOKEN='***'", "credential"),
        ("password: hunter22", "password: ***", secrets.CREDENTIAL),
        ('{"api_key": "k3y-of-mine"}', '{"api_key": "***"}', secrets.CREDENTIAL),
        ("hf_" + "a1" * 15, "***", secrets.CREDENTIAL),
        ("ghp_" + "a1" * 18, "***", secrets.CREDENTIAL),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***", secrets.CREDENTIAL),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx",
            "***\nx",
            secrets.CREDENTIAL,
        ),
        ("mail ann.lee@uni-x.org now", "mail *** now", secrets.EMAIL),
        ("no file /home/ann/data/x.csv", "no file /home/***/data/x.csv", secrets.USER_NAME),
        ("'/Users/Ann Lee/x'", "'/Users/***/x'", secrets.USER_NAME),
        (r"C:\\Users\\ann\\x", r"C:\\Users\\***\\x", secrets.USER_NAME),
    ],
)
def test_secrets_are_masked_and_counted(text, left, kind):
    assert cleaned(text) == (left, {kind: 1})
    assert cleaned(left) == (left, {})


@pytest.mark.parametrize(
    "text",
    [
        "movielens_100k/bpr/retrain@3/s2",
        "recall@20.others of s3://bucket/erase, 1.5 s",
        "a" * 64,
        "tokens 3, key 0123456789ab",
        "/data/erase/x.csv and /root/x",
    ],
)
def test_what_is_no_secret_stays(text):
    assert cleaned(text) == (text, {})


def test_nested_values_are_cleaned_and_secret_names_hide_what_they_lead_to():
    found = Counter()
    value = {"token": "abc", "num_tokens": 3, "list": [{"path": "/home/ann/x"}], "none": None}
    assert secrets.clean(value, found) == {
        "token": "***",
        "num_tokens": 3,
        "list": [{"path": "/home/***/x"}],
        "none": None,
    }
    assert secrets.told(found) == "credential (1), user name in a path (1)"


def test_secrets_of_this_process_are_known_by_value(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0f1e2d3c4b5a")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    text = "key 0f1e2d3c4b5a in eu-central-1"
    assert cleaned(text) == ("key *** in eu-central-1", {secrets.CREDENTIAL: 1})
