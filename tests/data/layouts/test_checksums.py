import subprocess

from pipeline.data.layouts.checksums import checksums_of


def test_checksums_are_those_of_sha256sum_in_the_given_order(tmp_path):
    files = {}
    for number in (3, 1, 2):
        files[f"name {number}"] = tmp_path / f"{number}.bin"
        files[f"name {number}"].write_bytes(bytes([number]) * (number * 700_000))
    printed = subprocess.run(["sha256sum", *files.values()], capture_output=True, text=True, check=True).stdout
    assert list(checksums_of(files).items()) == list(
        zip(files, [line.split()[0] for line in printed.splitlines()], strict=True)
    )


def test_no_file_gives_no_checksum():
    assert checksums_of({}) == {}
