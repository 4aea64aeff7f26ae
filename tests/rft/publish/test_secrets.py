"""What should not be published is found in metadata, named, and not repeated; what only looks like it is left alone."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rft.publish.gate.secrets import find_secrets
from tests.workspace import ROOT, least_seconds

# Put together here, so that nobody's scanner takes this file for a leak.
SECRETS = {
    "hf" + "_AbCdEfGhIjKlMnOpQrStUvWxYz01234567": "a Hugging Face token",
    "api" + "_org_AbCdEfGhIjKlMnOpQrStUvWxYz01234567": "a Hugging Face token",
    "sk" + "-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKl": "an OpenAI key",
    "sk" + "-proj-AbCd_EfGh-IjKlMnOpQrStUvWxYz012345": "an OpenAI key",
    "sk" + "-ant-api03-AbCd_EfGh-IjKlMnOpQrStUvWxYz": "an Anthropic key",
    "ghp" + "_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789": "a GitHub token",
    "github" + "_pat_11AAAAAAA0AbCdEfGhIj_KlMnOpQrStUvWxYz": "a GitHub token",
    "AKIA" + "IOSFODNN7EXAMPLE": "an AWS key",
    "AIza" + "SyAbCdEfGhIjKlMnOpQrStUvWxYz0123456": "a Google key",
    "xoxb" + "-123456789012-AbCdEfGhIjKl": "a Slack token",
    "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P": "a JSON web token",
    "-----BEGIN " + "RSA PRIVATE KEY-----": "a private key",
    "-----BEGIN " + "PRIVATE KEY-----": "a private key",
    "https://ada:" + "s3cret@example.org/data": "a URL with a password",
    "redis://:" + "s3cret@10.0.0.1:6379": "a URL with a password",
    "/home/" + "ada/data/q.jsonl": "the path of a home folder",
    "/Users/" + "ada": "the path of a home folder",
    "/mnt/fast/home/" + "ada/q.jsonl": "the path of a home folder",
    "host:/home/" + "ada/q.jsonl": "the path of a home folder",
    "PATH=/bin:/home/" + "ada/bin": "the path of a home folder",
    "file:///home/" + "ada/q.jsonl": "the path of a home folder",
    "/root/" + "q.jsonl": "the path of a home folder",
    "C:\\Users\\" + "Ada\\q.jsonl": "the path of a home folder",
    "D:/Users/" + "Ada": "the path of a home folder",
    "~/" + "data/q.jsonl": "the path of a home folder",
    "~/" + ".cache/huggingface": "the path of a home folder",
    "ada.lovelace+rft@" + "example.org": "an e-mail address",
    "ada@" + "163.com": "an e-mail address",
    "ada@" + "maths.example.co.uk": "an e-mail address",
}
HARMLESS = [
    "cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
    "12a5ac5c1108c4c4c6485ffde31a3541d69d8f68e9f81d81599799ffd7f215b6",
    "demo-rft-union@1",
    "six@dev",
    "torch@2.13.0",
    "torch@2.13.0.dev",
    "name@1.5.dev0",
    "demo-rft-union@1.parquet",
    "name@1/verdicts",
    "2.13.0+cpu",
    "Linux x86_64",
    "openai/gsm8k",
    "hf_hub_download",
    "task-specific-fine-tuning-of-language-models",
    "risk-aversion-of-people-who-measure-it",
    "git@github.com:openai/grade-school-math.git",
    "https://huggingface.co/datasets/openai/gsm8k/home/files",
    "https://example.org:8080/home/index.html",
    "http://127.0.0.1:8000/v1",
    "http://127.0.0.1:8000/root/v1",
    "https://<user>:<password>@example.org",
    "examples/home/questions.jsonl",
    "it costs ~5/6 of an hour",
    "@article{cobbe2021gsm8k,",
    "He pays 3@$5.00 and 2@$1.50",
    "48/2=<<48/2=24>>24\n#### 72",
    "eyJ is how a token begins",
    "a PRIVATE KEY is not published",
]


def record(**params: object) -> dict[str, str]:
    return {"artifact.json of six@1": json.dumps({"name": "six", "params": params})}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_a_parameter_stops_under_the_name_of_the_parameter(secret: Any) -> None:
    (finding,) = find_secrets(record(path=f"see {secret}."))
    assert (finding.gate, finding.name, finding.stops) == ("secrets", "secrets/six@1/params.path", True)
    assert finding.says.startswith(f"artifact.json of six@1: params.path holds {SECRETS[secret]} (")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_not_printed_whole(secret: Any) -> None:
    (finding,) = find_secrets(record(path=secret))
    assert secret not in finding.says + finding.name
    assert " characters)" in finding.says


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_is_left_alone(text: Any) -> None:
    assert find_secrets({**record(path=text), "README.md": f"{text}\n({text})"}) == []


def test_each_place_is_a_finding_of_its_own_and_says_all_that_it_holds() -> None:
    token, mail, home = next(iter(SECRETS)), "ada@" + "example.org", "/home/" + "ada"
    found = find_secrets(
        {
            **record(path=f"{home} of {mail}", more={"notes": ["none", token]}),
            "catalog.yaml of six@1": f"datasets:\n  # by {mail}\n  six@1: {{builder: gsm8k, params: {{repo: {token}}}}}\n",
            "README.md": f"# Title\n\n{home}/q.jsonl\n",
        }
    )
    assert [finding.name for finding in found] == [
        "secrets/six@1/params.path",
        "secrets/six@1/params.more.notes.1",
        "secrets/six@1/catalog.yaml/line-2",
        "secrets/six@1/catalog.yaml/six@1",
        "secrets/README.md/line-3",
    ]
    assert "the path of a home folder (/hom..., 9 characters) and an e-mail address (ada@..., 15 characters)" in found[0].says
    assert "in a new version" in found[0].says
    assert "in a new version" not in found[2].says
    assert all(f"override {finding.name}" in finding.says for finding in found)


def test_a_secret_that_is_a_key_is_found_and_not_printed_either() -> None:
    token = next(iter(SECRETS))
    (finding,) = find_secrets(record(**{token: "x"}))
    assert token not in finding.name + finding.says
    assert finding.name.startswith("secrets/six@1/params.hf_A")


NESTED = st.recursive(st.just("SECRET"), lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(
    st.text("abc", min_size=1), inner, min_size=1, max_size=2), max_leaves=4)  # fmt: skip


@given(NESTED, st.sampled_from(list(SECRETS)), st.text("é \n\"'(<>,;=", max_size=3))
def test_a_secret_is_found_wherever_it_stands(value: Any, secret: Any, around: Any) -> None:
    leaves = json.dumps(value).count("SECRET")
    text = json.dumps(value).replace("SECRET", json.dumps(around + secret + around)[1:-1])
    found = find_secrets({"artifact.json of six@1": text})
    assert len(found) == leaves
    assert not any(secret in finding.says for finding in found)


def test_nothing_is_found_in_the_catalog_or_in_what_was_built_from_it() -> None:
    records = (ROOT / ".rft" / "artifacts").glob("*/*/artifact.json")
    texts = {f"artifact.json of {file.parent}": file.read_text() for file in records}
    texts["catalog.yaml"] = (ROOT / "catalog.yaml").read_text()
    assert find_secrets(texts) == []


@pytest.mark.parametrize("start", ["", "a@", "http://a:", "/home/"])
@pytest.mark.parametrize("piece", ["a", "a.a-"])
def test_the_time_grows_only_with_the_length_of_a_word(start: Any, piece: Any) -> None:
    check_time(start + piece * (1_000_000 // len(piece)))


@pytest.mark.parametrize("piece", ["eyJaaaaaaaaa.", "sk-", "/a", "://a:", "x@a.", "/home", "C:\\Users\\", "-----BEGIN "])
def test_the_time_grows_only_with_the_number_of_beginnings(piece: Any) -> None:
    check_time(piece * (1_000_000 // len(piece)))


def check_time(hostile: str) -> None:
    # A quarter of a second; a pattern that goes back over what it has read would take hours.
    assert least_seconds(lambda: find_secrets({"README.md": hostile}), times=1) < 10
