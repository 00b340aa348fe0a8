import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeline.bundle.push.hub import push
from pipeline.bundle.push.plan import plan_push
from pipeline.data.errors import InputError

Make = Callable[..., Path]


class Hub:
    """Replace the hub: record the calls, and the files that are uploaded."""

    def __init__(self, tags: list[str] | None = None, error: Exception | None = None) -> None:
        self.tags, self.error = tags, error
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.files: dict[str, str] = {}

    def __call__(self, token: str | None = None) -> "Hub":
        assert token is None
        return self

    def repo_exists(self, _: str) -> bool:
        return self.tags is not None

    def list_repo_refs(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(tags=[SimpleNamespace(name=tag) for tag in self.tags or []])

    def create_repo(self, **words: Any) -> None:
        if self.error:
            raise self.error
        self.calls.append(("create_repo", words))

    def upload_folder(self, *, folder_path: str, **words: Any) -> str:
        folder = Path(folder_path)
        self.files = {
            path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
        }
        self.calls.append(("upload_folder", words))
        return "https://hub/me/spleen"

    def create_tag(self, **words: Any) -> None:
        self.calls.append(("create_tag", words))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hub], Hub]:
    def put(hub: Hub) -> Hub:
        module = ModuleType("huggingface_hub")
        module.HfApi = hub  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "huggingface_hub", module)
        monkeypatch.setattr("monai.bundle.scripts.huggingface_hub", module)
        return hub

    return put


@pytest.mark.parametrize("tags", [None, [], ["0.1.0"]])
def test_monai_gets_the_chosen_files_and_the_folder_stays_as_it_was(
    bundle: Make, stand_in: Callable[[Hub], Hub], tags: list[str] | None
) -> None:
    folder = bundle({"README.md": "mine", "scripts/__pycache__/a.pyc": "x", ".env": "HF_TOKEN=x"})
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    hub = stand_in(Hub(tags))
    assert push(plan_push(folder, "me/spleen", private=False, message="first")) == "https://hub/me/spleen"
    assert hub.calls == [
        ("create_repo", {"repo_id": "me/spleen", "private": False, "exist_ok": True}),
        ("upload_folder", {"repo_id": "me/spleen", "commit_message": "first"}),
        ("create_tag", {"repo_id": "me/spleen", "tag": "0.2.0", "exist_ok": True}),
    ]
    assert set(hub.files) == {
        "LICENSE",
        "README.md",
        "configs/inference.json",
        "configs/metadata.json",
        "docs/README.md",
        "models/model.pt",
        "scripts/__init__.py",
    }
    assert hub.files["README.md"].startswith("---\ntags:\n- monai")
    assert hub.files["README.md"].endswith("license: apache-2.0\n---\n# Spleen\n")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_files_are_copied_where_they_cannot_have_a_second_name(
    bundle: Make, stand_in: Callable[[Hub], Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    hub = stand_in(Hub())
    push(plan_push(bundle(), "me/spleen"))
    assert len(hub.files) == 7


def test_a_version_that_is_there_is_not_uploaded_again(bundle: Make, stand_in: Callable[[Hub], Hub]) -> None:
    hub = stand_in(Hub(["0.1.0", "0.2.0"]))
    with pytest.raises(InputError, match=r"version 0\.2\.0 on the hub already"):
        push(plan_push(bundle(), "me/spleen"))
    assert hub.calls == []


def test_what_the_hub_refuses_is_told_without_the_token(bundle: Make, stand_in: Callable[[Hub], Hub]) -> None:
    stand_in(Hub(error=RuntimeError("401 Unauthorized\nAuthorization: Bearer hf_secretABC123")))
    with pytest.raises(InputError, match=r"RuntimeError: 401 Unauthorized.*hf auth login") as raised:
        push(plan_push(bundle(), "me/spleen"))
    assert "secret" not in str(raised.value)


def test_without_the_hubs_client_it_says_what_to_install(bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'lightskip\[hub\]'"):
        push(plan_push(bundle(), "me/spleen"))
