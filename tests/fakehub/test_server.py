"""The Hub of tests/fakehub, with the real clients: what they do there, and what goes wrong when it is told so."""

import http.client
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest
from huggingface_hub import CommitOperationAdd as Add
from huggingface_hub import CommitOperationDelete as Delete
from huggingface_hub import DatasetCard, HfApi, HfFileSystem, hf_hub_download, snapshot_download, whoami
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from tests.fakehub import TOKEN, Fault, Hub, User, environment, flipped, pointing_at, read_card, running, serving

# huggingface_hub 2.4 uploads LFS objects in a way that httpx2 no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "someone/family"
CARD = """---
license: mit
language:
- en
size_categories:
- n<1K
task_categories:
- text-generation
configs:
- config_name: one
  default: true
  data_files:
  - split: train
    path: one/train-*.parquet
- config_name: two
  data_files:
  - split: test
    path: two/test-*.parquet
---
# A family
"""


def parquet(**columns: list[object]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


ONE, TWO = parquet(text=["a", "b", "c"]), parquet(number=[1, 2])
FILES = {"README.md": CARD.encode(), "one/train-00000-of-00001.parquet": ONE, "two/test-00000-of-00001.parquet": TWO}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(page=2) as hub:
        yield hub


@pytest.fixture
def waits(hub: Hub, tmp_path: Path) -> Iterator[list[float]]:
    with pointing_at(hub, tmp_path / "hf") as waits:
        yield waits


@pytest.fixture
def api(hub: Hub, waits: list[float]) -> HfApi:
    """The client, and an empty dataset."""
    hub.create(REPO)
    return HfApi()


def push(api: HfApi, files: dict[str, bytes] = FILES, **options: Any) -> str:
    adds = [Add(path, data) for path, data in files.items()]
    return api.create_commit(REPO, adds, commit_message="Add files", repo_type="dataset", **options).oid  # type: ignore[no-any-return]


def ask(hub: Hub, method: str, path: str, body: object = None, token: str = TOKEN, **headers: str) -> tuple[int, str]:
    """Send a request that no client would."""
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, data, {"Authorization": f"Bearer {token}"} | headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def commit_lines(*lines: dict[str, Any]) -> bytes:
    header = {"key": "header", "value": {"summary": "By hand"}}
    return b"".join(json.dumps(line).encode() + b"\n" for line in [header, *lines])


# -- repositories and who may use them -------------------------------------------------------------------------------------


def test_a_new_repository_is_there_once_and_private_only_if_asked(hub: Hub, waits: list[float]) -> None:
    api = HfApi()
    assert api.create_repo(REPO, repo_type="dataset", private=True).repo_id == REPO
    with pytest.raises(HfHubHTTPError, match="already created"):
        api.create_repo(REPO, repo_type="dataset")
    assert api.create_repo(REPO, repo_type="dataset", exist_ok=True).repo_id == REPO
    api.create_repo("someone/model")
    assert hub.repo(REPO).private
    assert not hub.repo("someone/model", "model").private
    api.update_repo_settings(REPO, repo_type="dataset", visibility="public")
    assert not api.dataset_info(REPO).private
    with pytest.raises(HfHubHTTPError, match="rights"):
        api.create_repo("nobody/else", repo_type="dataset")
    assert whoami()["name"] == "someone"


def test_a_private_repository_is_not_found_without_the_right_token(hub: Hub, api: HfApi) -> None:
    hub.users |= {"other": User("other"), "reader": User("someone", writes=False)}  # type: ignore[operator]
    hub.repo(REPO).private = True
    for token in (False, "other"):
        with pytest.raises(RepositoryNotFoundError):
            HfApi(token=token).dataset_info(REPO)
    assert HfApi(token="reader").dataset_info(REPO).private
    with pytest.raises(HfHubHTTPError, match="403 Forbidden: You don't have the rights to write"):
        push(HfApi(token="reader"))
    hub.repo(REPO).private = False
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        HfApi(token="wrong").dataset_info(REPO)
    assert HfApi(token=False).dataset_info(REPO).sha == hub.repo(REPO).head
    with pytest.raises(HfHubHTTPError, match="401"):
        push(HfApi(token=False))


def test_what_is_not_there_has_a_name_of_its_own(api: HfApi) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info("someone/other")
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(REPO, revision="v9")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download(REPO, "none.txt", repo_type="dataset")
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree(REPO, "folder", repo_type="dataset"))
    with pytest.raises(RemoteEntryNotFoundError, match="doesn't exist"):
        api.create_commit(REPO, [Delete("none.txt")], commit_message="Remove", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        push(api, revision="branch")


# -- commits and references ------------------------------------------------------------------------------------------------


def test_a_commit_holds_its_files_and_large_or_binary_ones_are_lfs_objects(hub: Hub, api: HfApi) -> None:
    commit = push(api)
    assert hub.repo(REPO).head == commit
    assert hub.repo(REPO).files().items() >= FILES.items()
    found = api.dataset_info(REPO, files_metadata=True)
    assert found.sha == commit
    assert {s.rfilename: s.size for s in found.siblings} == {path: len(data) for path, data in hub.repo(REPO).files().items()}  # type: ignore[union-attr]
    lfs = {s.rfilename for s in found.siblings if s.lfs}  # type: ignore[union-attr]
    assert lfs == {path for path in FILES if path.endswith(".parquet")}
    assert hub.count("PUT /lfs/*") == 2
    history = api.list_repo_commits(REPO, repo_type="dataset")
    assert [(c.title, c.authors) for c in history] == [("Add files", ["someone"]), ("initial commit", ["someone"])]
    assert history[0].commit_id == commit


def test_what_did_not_change_is_not_sent_again(hub: Hub, api: HfApi) -> None:
    first = push(api)
    assert push(api) == first
    assert hub.count("PUT /lfs/*") == 2
    assert hub.count("POST */commit/*") == 1
    push(api, FILES | {"notes.txt": b"new"})
    assert hub.count("PUT /lfs/*") == 2
    # The same object in another place: the batch says that it is there.
    push(api, {"copy.parquet": ONE})
    assert hub.count("PUT /lfs/*") == 2
    assert hub.repo(REPO).files()["copy.parquet"] == ONE


def test_a_stale_parent_is_refused(hub: Hub, api: HfApi) -> None:
    start = hub.repo(REPO).head
    push(api, {"a.txt": b"a"}, parent_commit=start)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as refused:
        push(api, {"b.txt": b"b"}, parent_commit=start)
    assert refused.value.response.status_code == 412
    assert "b.txt" not in hub.repo(REPO).files()


def test_files_and_folders_are_removed(hub: Hub, api: HfApi) -> None:
    push(api)
    api.create_commit(REPO, [Delete("one/"), Delete("README.md")], commit_message="Remove", repo_type="dataset")
    assert set(hub.repo(REPO).files()) == {".gitattributes", "two/test-00000-of-00001.parquet"}


def test_a_tag_stays_where_it_is(hub: Hub, api: HfApi) -> None:
    first, second = push(api), push(api, {"notes.txt": b"new"})
    api.create_tag(REPO, tag="one-v1", revision=first, repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="Tag reference exists already") as refused:
        api.create_tag(REPO, tag="one-v1", revision=second, repo_type="dataset")
    assert refused.value.response.status_code == 409
    assert hub.repo(REPO).tags == {"one-v1": first}
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(REPO, tag="one-v2", revision="0" * 40, repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="Invalid reference"):
        api.create_tag(REPO, tag="one..v2", repo_type="dataset")
    api.create_branch(REPO, branch="draft/2", revision="one-v1", repo_type="dataset")
    refs = api.list_repo_refs(REPO, repo_type="dataset", include_pull_requests=True)
    assert [(t.name, t.ref, t.target_commit) for t in refs.tags] == [("one-v1", "refs/tags/one-v1", first)]
    assert {b.name: b.target_commit for b in refs.branches} == {"main": second, "draft/2": first}
    assert push(api, {"draft.txt": b"d"}, revision="draft/2") == api.dataset_info(REPO, revision="draft/2").sha
    with pytest.raises(HfHubHTTPError, match="Reference already exists"):
        api.create_branch(REPO, branch="draft/2", repo_type="dataset")
    api.delete_tag(REPO, tag="one-v1", repo_type="dataset")
    api.delete_branch(REPO, branch="draft/2", repo_type="dataset")
    with pytest.raises(HfHubHTTPError):
        api.delete_branch(REPO, branch="main", repo_type="dataset")
    assert hub.repo(REPO).tags == {}
    assert hub.repo(REPO).branches == {"main": second}


@pytest.mark.parametrize("path", ["/etc/passwd", "../up.txt", "a/../../up.txt", "a//b", ".git/config", ""])
def test_a_path_that_leads_out_is_refused(hub: Hub, api: HfApi, path: str | None) -> None:
    body = commit_lines({"key": "file", "value": {"path": path, "content": "", "encoding": "base64"}})
    status, text = ask(hub, "POST", f"/api/datasets/{REPO}/commit/main", body)
    assert status == 400
    assert "Invalid path" in text
    assert len(hub.repo(REPO).commits) == 1


def test_bytes_that_are_not_what_they_are_said_to_be_are_refused(hub: Hub, api: HfApi) -> None:
    oid, at = "a" * 64, f"/lfs/datasets/{REPO}/{'a' * 64}"
    line = {"key": "lfsFile", "value": {"path": "a.bin", "algo": "sha256", "oid": oid, "size": 3}}
    status, text = ask(hub, "POST", f"/api/datasets/{REPO}/commit/main", commit_lines(line))
    assert (status, "does not exist" in text) == (400, True)
    assert ask(hub, "PUT", at, b"abc")[0] == 400  # nobody announced it
    batch = {"operation": "upload", "transfers": ["basic"], "hash_algo": "sha256", "objects": [{"oid": oid, "size": 3}]}
    assert ask(hub, "POST", f"/datasets/{REPO}.git/info/lfs/objects/batch", batch)[0] == 200
    assert ask(hub, "PUT", at, b"abc")[0] == 400
    assert ask(hub, "POST", f"/datasets/{REPO}.git/info/lfs/objects/verify", {"oid": oid, "size": 3})[0] == 404
    line = {"key": "file", "value": {"path": "a.bin", "content": "AAAA", "encoding": "base64"}}
    status, text = ask(hub, "POST", f"/api/datasets/{REPO}/commit/main", commit_lines(line))
    assert (status, "binary" in text) == (400, True)


def test_a_name_is_a_file_or_a_folder(hub: Hub, api: HfApi) -> None:
    push(api, {"a": b"file"})
    with pytest.raises(HfHubHTTPError, match="a would be a file and a folder"):
        push(api, {"a/b": b"file"})


# -- reading ---------------------------------------------------------------------------------------------------------------


def test_a_tag_is_read_whatever_came_later(hub: Hub, api: HfApi) -> None:
    api.create_tag(REPO, tag="v1", revision=push(api), repo_type="dataset")
    push(api, {"README.md": CARD.replace("# A", "# Another").encode(), "two/test-00000-of-00001.parquet": ONE})
    file = hf_hub_download(REPO, "README.md", repo_type="dataset", revision="v1")
    assert Path(file).read_bytes() == CARD.encode()
    assert "# Another" in Path(hf_hub_download(REPO, "README.md", repo_type="dataset")).read_text()
    folder = Path(snapshot_download(REPO, repo_type="dataset", revision="v1"))
    assert folder.name == hub.repo(REPO).tags["v1"]
    read = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert read == hub.repo(REPO).files("v1")
    files = HfFileSystem()
    assert files.ls(f"datasets/{REPO}@v1/two", detail=False) == [f"datasets/{REPO}@v1/two/test-00000-of-00001.parquet"]
    with files.open(f"datasets/{REPO}@v1/two/test-00000-of-00001.parquet") as opened:
        assert pl.read_parquet(opened).rows() == [(1,), (2,)]


def test_listings_come_in_pages(hub: Hub, api: HfApi) -> None:
    push(api)
    everything = {*FILES, ".gitattributes", "one", "two"}
    assert {entry.path for entry in api.list_repo_tree(REPO, recursive=True, repo_type="dataset")} == everything
    assert hub.count("GET */tree/*") == 3  # of 2 entries
    top = list(api.list_repo_tree(REPO, repo_type="dataset", expand=True))
    assert {entry.path for entry in top} == {".gitattributes", "README.md", "one", "two"}
    assert {entry.last_commit.oid for entry in top} == {hub.repo(REPO).head}  # type: ignore[union-attr]
    assert [entry.path for entry in api.list_repo_tree(REPO, "one", repo_type="dataset")] == [
        "one/train-00000-of-00001.parquet"
    ]
    found = api.get_paths_info(REPO, ["two", "two/test-00000-of-00001.parquet", "none"], repo_type="dataset")
    assert [entry.path for entry in found] == ["two", "two/test-00000-of-00001.parquet"]
    assert found[1].lfs.sha256 == next(iter(o for o, file in hub.repo(REPO).objects.items() if file.data == TWO))  # type: ignore[union-attr]


def test_a_part_of_a_file_can_be_asked_for(hub: Hub, api: HfApi) -> None:
    push(api, {"ten.txt": b"0123456789"})
    url = f"/datasets/{REPO}/resolve/main/ten.txt"
    for part, answer in {
        "2-4": (206, "234"),
        "7-": (206, "789"),
        "-2": (206, "89"),
        "8-99": (206, "89"),
        "10-": (416, ""),
    }.items():
        assert ask(hub, "GET", url, Range=f"bytes={part}") == answer
    assert ask(hub, "HEAD", url) == (200, "")


@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_reads_the_configs_of_the_card_at_a_tag(api: HfApi, streaming: bool) -> None:
    from datasets import get_dataset_config_names, load_dataset

    api.create_tag(REPO, tag="v1", revision=push(api), repo_type="dataset")
    push(api, {"README.md": b"---\nlicense: mit\n---\n"})
    assert get_dataset_config_names(REPO, revision="v1") == ["one", "two"]
    two = load_dataset(REPO, "two", split="test", revision="v1", streaming=streaming)
    assert [row["number"] for row in two] == [1, 2]
    default = load_dataset(REPO, revision="v1", streaming=streaming)
    assert [row["text"] for row in default["train"]] == ["a", "b", "c"]


# -- the card --------------------------------------------------------------------------------------------------------------


def test_a_card_is_loaded_validated_and_pushed(hub: Hub, api: HfApi) -> None:
    push(api)
    card = DatasetCard.load(REPO)
    card.validate()
    card.data.license = "asdf"
    with pytest.raises(ValueError, match='- Error: "license" must be one of'):
        card.validate()
    card.data.license = ["mit", "cc-by-4.0"]
    card.push_to_hub(REPO)
    assert b"- cc-by-4.0" in hub.repo(REPO).files()["README.md"]
    assert api.dataset_info(REPO).card_data.license == ["mit", "cc-by-4.0"]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"Invalid metadata in README\.md"):
        push(api, {"README.md": b"---\nlicense: asdf\n---\n"})
    content = "LS0tCmxpY2Vuc2U6IGFzZGYKLS0tCg=="  # the same, not asked about before
    line = {"key": "file", "value": {"path": "README.md", "content": content, "encoding": "base64"}}
    assert ask(hub, "POST", f"/api/datasets/{REPO}/commit/main", commit_lines(line))[0] == 400


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ("license: [mit, unknown]\nanything: 1", None),
        ("license: other\nlicense_name: my-license-1.0\nlicense_link: LICENSE", None),
        ("language: no", None),  # Norwegian, not false
        ("configs:\n- config_name: a\n  data_files: '*.parquet'\n- config_name: b", None),
        ("license: MIT", '"license" must be one of'),
        ("license: [mit, 3]", '"license" must be'),
        ("license_name: My License", '"license_name" fails to match'),
        ("license_link: my license", '"license_link" must be'),
        ("language: english", '"language" with value "english" is not valid'),
        ("size_categories: 1K", '"size_categories" must be one of'),
        ("tags: rft", '"tags" must be an array'),
        ("tags: [2]", '"tags" must be a string or an array of strings'),
        ("pretty_name: 3", '"pretty_name" must be a string'),
        ("dataset_info:\n- config_name: a\n- features: []", '"dataset_info" must be of type object'),
        ("configs: {one: two}", '"configs" must be an array'),
        ("configs: [one]", '"configs[0]" must be of type object'),
        ("configs:\n- data_files: '*'", '"configs[0].config_name" is required'),
        ("configs:\n- config_name: a/b", '"configs[0].config_name" is not a name'),
        ("configs:\n- config_name: a\n  data_files:\n  - path: b", '"configs[0].data_files" must be'),
        ("configs:\n- config_name: a\n  default: 'yes'", '"configs[0].default" must be a boolean'),
        ("configs:\n- config_name: a\n- config_name: a", '"configs" contains a duplicate'),
        ("configs:\n- {config_name: a, default: true}\n- {config_name: b, default: true}", '"configs" has several defaults'),
        ("license: mit\nlicense: mit", "duplicated mapping key"),
        ("license: [", "Invalid YAML in README.md"),
        ("- a", '"value" must be of type object'),
        ("a", "The YAML metadata of your README.md is invalid."),
    ],
)
def test_the_hub_refuses_metadata_that_the_real_one_refuses(metadata: str, says: str) -> None:
    _, errors, warnings = read_card(f"---\n{metadata}\n---\n")
    assert (says in " ".join(errors)) if says else (errors == [])
    assert warnings == []


def test_a_card_without_metadata_or_with_an_unknown_task_is_warned_about(api: HfApi) -> None:
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        push(api, {"README.md": b"# Nothing\n"})
    with pytest.warns(UserWarning, match='"sums" is not in the official list'):
        push(api, {"README.md": b"---\ntask_categories: [sums]\n---\n"})


# -- what goes wrong -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "slept"),
    [
        (Fault("429", on="POST */preupload/*"), [1]),
        (Fault("429", on="POST */preupload/*", retry_after=0), [1.0]),  # the client adds a second
        (Fault("429", on="POST */preupload/*", retry_after=30), [31.0]),
        (Fault("500", on="POST */preupload/*"), [1]),
        (Fault("503", on="PUT /lfs/*"), [1]),
        (Fault("reset", on="PUT /lfs/*"), [1]),
        (Fault("reset", on="PUT /lfs/*", after=10), [1]),
        (Fault("lost", on="POST */batch"), [1]),
    ],
    ids=lambda value: f"{value.what} {value.on}" if isinstance(value, Fault) else None,
)
def test_the_client_tries_again_without_a_real_sleep(
    hub: Hub, api: HfApi, waits: list[float], fault: Fault, slept: list[float]
) -> None:
    hub.fail(fault)
    push(api)
    assert hub.faults == []
    assert waits == slept
    assert hub.repo(REPO).files().items() >= FILES.items()
    assert [seen.fault for seen in hub.requests if seen.fault] == [fault.what]


@pytest.mark.parametrize("what", ["429", "500", "503"])
def test_a_refused_request_does_nothing(hub: Hub, api: HfApi, what: Any) -> None:
    hub.fail(Fault(what, on="POST */commit/*"))
    with pytest.raises(HfHubHTTPError) as refused:
        push(api)
    assert refused.value.response.status_code == int(what)
    assert len(hub.repo(REPO).commits) == 1


@pytest.mark.parametrize(("after", "commits"), [(None, 1), (0, 2), (40, 2)])
def test_a_connection_is_reset_before_a_commit_or_after_some_bytes_of_the_reply(
    hub: Hub, api: HfApi, after: Any, commits: int
) -> None:
    import httpx2

    hub.fail(Fault("reset", on="POST */commit/*", after=after))
    with pytest.raises(httpx2.TransportError, match=r"reset by peer|Connection reset"):
        push(api)
    assert len(hub.repo(REPO).commits) == commits


def test_a_download_that_is_cut_off_is_tried_again(hub: Hub, api: HfApi, waits: list[float]) -> None:
    data = os.urandom(300_000)
    push(api, {"large.bin": data})
    hub.fail(Fault("lost", on="GET */resolve/*", after=200_000))
    assert Path(hf_hub_download(REPO, "large.bin", repo_type="dataset")).read_bytes() == data
    assert hub.count("GET */resolve/*") == 2
    assert waits == [1]


def test_a_download_that_is_reset_is_not_tried_again_by_the_client(hub: Hub, api: HfApi) -> None:
    import httpx2

    push(api, {"a.txt": b"a"})
    hub.fail(Fault("reset", on="GET */resolve/*", after=100))
    with pytest.raises(httpx2.ReadError) as failed:
        hf_hub_download(REPO, "a.txt", repo_type="dataset")
    assert not isinstance(failed.value, OSError)
    assert hub.count("GET */resolve/*") == 1


def test_a_lost_reply_hides_a_commit_and_a_tag_that_were_made(hub: Hub, api: HfApi) -> None:
    import httpx2

    hub.fail(Fault("lost", on="POST */commit/*"), Fault("lost", on="POST */tag/*"))
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending a response"):
        push(api)
    assert hub.repo(REPO).files().items() >= FILES.items()
    with pytest.raises(httpx2.RemoteProtocolError):
        api.create_tag(REPO, tag="v1", repo_type="dataset")
    assert hub.repo(REPO).tags == {"v1": hub.repo(REPO).head}
    assert [seen.status for seen in hub.requests if seen.fault] == [200, 200]


def test_somebody_elses_commit_comes_first(hub: Hub, api: HfApi) -> None:
    start = hub.repo(REPO).head
    hub.fail(Fault("412", files={"theirs.txt": b"theirs"}))
    with pytest.raises(HfHubHTTPError) as refused:
        push(api, parent_commit=start)
    assert refused.value.response.status_code == 412
    assert [c.user for c in hub.repo(REPO).history()] == ["somebody-else", "someone"]
    push(api, parent_commit=hub.repo(REPO).head)
    assert hub.repo(REPO).files().items() >= (FILES | {"theirs.txt": b"theirs"}).items()


def test_somebody_elses_tag_comes_first_and_points_elsewhere(hub: Hub, api: HfApi) -> None:
    commit = push(api)
    hub.fail(Fault("409 tag"))
    with pytest.raises(HfHubHTTPError) as refused:
        api.create_tag(REPO, tag="v1", revision=commit, repo_type="dataset")
    assert refused.value.response.status_code == 409
    assert api.dataset_info(REPO, revision="v1").sha == hub.repo(REPO).tags["v1"] != commit
    assert hub.repo(REPO).head == commit


def test_wrong_bytes_come_once(hub: Hub, api: HfApi) -> None:
    push(api)
    hub.fail(Fault("wrong bytes", on="GET */one/*"))
    read = [
        Path(hf_hub_download(REPO, "one/train-00000-of-00001.parquet", repo_type="dataset", force_download=True)).read_bytes()
        for _ in range(2)
    ]
    assert read == [flipped(ONE), ONE]
    assert len(read[0]) == len(ONE)


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        (Fault("stored wrong", at=2), None),
        (Fault("stored wrong", on="POST */commit/*"), "README.md"),
    ],
)
def test_what_is_stored_wrong_is_listed_as_if_it_were_right(hub: Hub, api: HfApi, fault: Fault, path: str | None) -> None:
    hub.fail(fault)
    push(api)
    stored = hub.repo(REPO).files()
    (damaged,) = [name for name in FILES if stored[name] != FILES[name]]
    assert damaged == (path or damaged)
    assert Path(hf_hub_download(REPO, damaged, repo_type="dataset")).read_bytes() == flipped(FILES[damaged])
    push(api)  # the client believes the listing: nothing has changed
    assert hub.count("POST */commit/*") == 1
    hub.repo(REPO).damaged.clear()
    assert hub.repo(REPO).files()[damaged] == FILES[damaged]


def test_a_test_is_called_before_a_request_and_decides_whether_it_is_carried_out(hub: Hub, api: HfApi) -> None:
    import httpx2

    seen = []
    hub.fail(Fault("call", on="POST */commit/*", call=lambda: seen.append(hub.repo(REPO).head)))
    push(api, {"a.txt": b"a"})
    assert seen == [hub.repo(REPO).history()[-1].id]
    hub.fail(Fault("call", on="POST */commit/*", call=lambda: False))
    with pytest.raises(httpx2.RemoteProtocolError):
        push(api, {"b.txt": b"b"})
    assert set(hub.repo(REPO).files()) == {".gitattributes", "a.txt"}


def test_a_client_is_killed_at_its_commit(hub: Hub, tmp_path: Path) -> None:
    hub.create(REPO)
    script = "from huggingface_hub import HfApi; HfApi().upload_file(path_or_fileobj=b'a', path_in_repo='a.txt', repo_id='someone/family', repo_type='dataset')"

    def kill() -> bool:
        client.kill()
        client.wait()
        return False

    client = subprocess.Popen([sys.executable, "-c", script], env=os.environ | environment(hub, tmp_path))
    hub.fail(Fault("call", on="POST */commit/*", call=kill))
    assert client.wait() == -9
    hub.settle()
    assert len(hub.repo(REPO).commits) == 1
    assert hub.requests[-1].status == 0


def test_faults_count_the_requests_they_match_and_come_one_at_a_time(hub: Hub, api: HfApi) -> None:
    hub.fail(Fault("500", at=2, on="GET */refs"), Fault("503", at=3), Fault("429", at=3))
    found = []
    for _ in range(5):
        try:
            api.list_repo_refs(REPO, repo_type="dataset")
            found.append(200)
        except HfHubHTTPError as refused:
            found.append(refused.response.status_code)
    assert found == [200, 500, 503, 429, 200]
    assert [seen.status for seen in hub.requests] == found


def test_a_crash_of_the_hub_fails_the_test() -> None:
    def crash() -> None:
        with running() as hub:
            hub.fail(Fault("call", call=lambda: 1 / 0))
            with pytest.raises(http.client.RemoteDisconnected):
                ask(hub, "GET", "/api/whoami-v2")

    with pytest.raises(ZeroDivisionError):
        crash()


def test_a_folder_is_served_as_one_commit(tmp_path: Path) -> None:
    (tmp_path / "repo" / "data").mkdir(parents=True)
    (tmp_path / "repo" / "data" / "a.txt").write_text("a")
    with serving("openai/a", "0" * 40, tmp_path / "repo") as hub, pointing_at(hub, tmp_path / "hf", token="any"):
        folder = Path(snapshot_download("openai/a", repo_type="dataset", revision="0" * 40))
        assert (folder / "data" / "a.txt").read_text() == "a"
        assert HfApi().dataset_info("openai/a").sha == "0" * 40
