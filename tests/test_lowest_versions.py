"""Lower bounds in pyproject.toml are the versions that .ci/lowest tests; the project itself needs no installation."""

import tomllib
from importlib.metadata import Distribution, PackageNotFoundError

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import pipeline
from pipeline.tracking.tags import environment_tags
from tests.support.command_line import PROJECT

TESTED_EXTRAS = ("dask", "jobqueue")
"""Those that a user needs to run sweeps; the others hold tools of the project itself."""


def versions(requirements: list[str]) -> dict[str, Version]:
    """Package -> the lowest version that its requirement allows; this project's own extras have none."""
    found = {}
    for requirement in map(Requirement, requirements):
        if requirement.name != "symmetry-lab":
            (version,) = (Version(each.version) for each in requirement.specifier if each.operator in (">=", "=="))
            found[requirement.name] = version
    return found


def test_the_lowest_versions_that_are_promised_are_those_that_are_tested() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = [*project["dependencies"]]
    for extra in TESTED_EXTRAS:
        promised += project["optional-dependencies"][extra]
    lines = (PROJECT / ".ci" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    tested = [line for line in lines if not line.startswith("#")]
    assert versions(tested) == versions(promised)


def test_a_checkout_that_is_not_installed_knows_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Distribution.from_name

    def from_name(name: str) -> Distribution:
        if name == "symmetry-lab":
            raise PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(Distribution, "from_name", from_name)
    assert environment_tags.__wrapped__()["version.symmetry-lab"] == pipeline.__version__
