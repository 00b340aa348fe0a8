import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.bundle.push.plan import plan_push, push_text
from pipeline.data.errors import InputError

Make = Callable[..., Path]


def test_everything_is_told_without_network_and_without_the_hubs_client(
    bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setattr("socket.socket", None)
    folder = bundle({".DS_Store": "x"})
    assert push_text(plan_push(folder, "me/spleen")).splitlines() == [
        "spleen 0.2.0 to https://huggingface.co/me/spleen",
        "a new repository becomes private; an existing one keeps its setting",
        "commit: Spleen 0.2.0; tag: 0.2.0",
        "model card: README.md, which MONAI makes from docs/README.md with the tags monai, medical and "
        "license: apache-2.0",
        "   27 bytes       LICENSE",
        "   54 bytes       configs/inference.json",
        "   38 bytes       configs/metadata.json",
        "    9 bytes       docs/README.md",
        "    4 bytes  LFS  models/model.pt",
        "    0 bytes       scripts/__init__.py",
        "  132 bytes in 6 files, 1 of them by LFS, the hub's default",
        "left out: .DS_Store",
    ]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"configs/metadata.json": None}, "no readable file"),
        ({"configs/metadata.json": "{"}, "text that is not JSON"),
        ({"configs/metadata.json": "[]"}, "a list"),
        ({"configs/metadata.json": "{}"}, "no version"),
        ({"configs/metadata.json": '{"version": "a b"}'}, "the version 'a b'"),
        ({"LICENSE": None}, "no LICENSE"),
        ({"docs/scan.nii.gz": "x", "runs/a": "x"}, "your data or results: docs/scan.nii.gz, runs/"),
        ({"configs/a.json": '{"n": [{"_target_": "pipeline.networks.VNet"}]}'}, "export it first: lightskip export"),
        ({"configs/a.json": '{"n": "$from pipeline.data import x"}'}, "export it first: lightskip export"),
        ({"configs/a.json": "{"}, "not JSON"),
        ({"configs/sub/a.json": "{"}, "not JSON"),
        ({"configs/a.yaml": "n: {_target_: pipeline.networks.VNet}"}, "export it first: lightskip export"),
        ({"configs/sub/a.yml": "n: $import pipeline.data"}, "export it first: lightskip export"),
        ({"configs/a.json": json.dumps({"token": "hf_" + "a" * 34})}, "an access token of the hub in configs/a.json"),
        ({"scripts/a.py": "x = 'hf_" + "a" * 34 + "'"}, "an access token of the hub in scripts/a.py"),
        ({"configs/metadata.json": json.dumps({"version": "1" * 5000 + "!"})}, "the version '1"),
        ({"configs/metadata.json": '{"version": "\\u0661.0"}'}, "the version"),
    ],
)
def test_what_is_no_exported_bundle_is_refused(bundle: Make, changed: dict[str, str | None], found: str) -> None:
    with pytest.raises(InputError, match=found):
        plan_push(bundle(changed), "me/spleen")


@pytest.mark.parametrize(
    "repo", ["spleen", "mé/a", "me/", "/spleen", "me/a/b", "me/a b", "me/a..b", "me/a--b", "-/a", "me/a.git"]
)
def test_a_repository_that_the_hub_would_refuse(bundle: Make, repo: str) -> None:
    with pytest.raises(InputError, match="OWNER/NAME"):
        plan_push(bundle(), repo)


@pytest.mark.parametrize(
    ("changed", "card"),
    [
        ({"LICENSE": "MIT License"}, "license: mit"),
        ({"LICENSE": "ours"}, "license: unknown"),
        ({"docs/README.md": "---\nlicense: mit\n---\n"}, "shown as text"),
        ({"docs/README.md": None}, "none: write docs/README.md"),
        ({"docs/README.md": None, "README.md": "x"}, "README.md, unchanged"),
    ],
)
def test_what_becomes_of_the_model_card(bundle: Make, changed: dict[str, str | None], card: str) -> None:
    assert plan_push(bundle(changed), "me/spleen").card.endswith(card)


def test_a_config_that_is_left_out_forbids_nothing(bundle: Make) -> None:
    assert plan_push(bundle({"configs/.x.json": "{"}), "me/spleen").left_out == ("configs/.x.json",)


@pytest.mark.parametrize("version", ["0.1.0", "1", "1.0rc1", "1.0.0-beta.2", "2024.1+local"])
def test_versions_that_become_a_tag(bundle: Make, version: str) -> None:
    assert (
        plan_push(bundle({"configs/metadata.json": json.dumps({"version": version})}), "me/spleen").version == version
    )
