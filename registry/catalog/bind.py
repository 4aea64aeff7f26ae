"""Bind a catalog line to its maker's signature: the one rule.

A dataset line means builders.<builder>.build(*inputs, **params), a model line trainers.<trainer>.train(...), an eval
line eval.<eval>.evaluate(...). Positional parameters are artifacts, keyword-only ones the recipe; those that begin
with an underscore are seams for tests and no line can name them. A keyword-only one annotated `Run` is how it runs: the
engine fills it in, and it is no part of the recipe.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from registry.catalog.read import Catalog, Entry
from registry.errors import CatalogError, near
from registry.files import sha256_file
from registry.maker import About, Decided, Folder, Input, Location, Model, Run
from registry.names import ArtifactId
from registry.rows import Shape
from registry.store.models import files_hash
from registry.store.record import Kind, files_in

MAKERS: dict[Kind, tuple[str, str]] = {  # where the makers of a kind live, and what their function is called
    "dataset": ("builders", "build"),
    "model": ("trainers", "train"),
    "eval": ("eval", "evaluate"),
}


def location_hash(path: Path) -> str:
    """Return what a line's `sha256` must be for the file or folder at `path`."""
    return files_hash(files_in(path)) if path.is_dir() else sha256_file(path)


@dataclass(frozen=True)
class Maker:
    """A maker's function and what its signature says."""

    name: str
    kind: Kind
    module: ModuleType
    function: Callable[..., Any]
    inputs: tuple[inspect.Parameter, ...]
    rest: inspect.Parameter | None  # *samples
    params: Mapping[str, inspect.Parameter]
    makes: Shape | None  # None: rows of the shape of its first input, or a model
    run: str | None  # the name of the parameter that gets the Run
    decided: str | None  # and of the one that gets what a checker Decided

    @property
    def edition(self) -> int:
        return int(self.module.EDITION)

    @property
    def about(self) -> list[str]:
        """The parameters that say something about the source and decide no row."""
        return [name for name, p in self.params.items() if About in getattr(_present(p.annotation), "__metadata__", ())]

    @property
    def by_question(self) -> bool:
        return bool(getattr(self.module, "BY_QUESTION", False))

    def input(self, position: int) -> Any:
        """Return the annotation of the input at `position`, without `| None`."""
        parameter = self.inputs[position] if position < len(self.inputs) else self.rest
        return _present(parameter.annotation) if parameter is not None else None

    def takes_model(self, position: int) -> bool:
        return self.input(position) is Model

    def takes_whole(self, position: int) -> bool:
        """Return whether the input at `position` is wanted as an Input (with its id and tables), not only as rows."""
        return _bare(self.input(position)) is Input

    def shapes_taken(self, position: int) -> tuple[Shape, ...]:
        """Return the shapes of rows that the input at `position` may have; none: any."""
        return _shapes(self.input(position))


@dataclass(frozen=True)
class Recipe:
    """A catalog line with every parameter bound."""

    entry: Entry
    maker: Maker
    params: Mapping[str, Any]
    location: str | None = None  # the name of the Location parameter, if there is one
    folder: bool = False  # it is a Folder


@cache
def find_maker(kind: Kind, name: str) -> Maker:
    """Return the maker called `name`; CatalogError offers the nearest names."""
    package, function_name = MAKERS[kind]
    known = _known(package)
    if name not in known:
        there = ", ".join(known) or "none"
        raise CatalogError(f"no {package}/{name}.py.{near(name, known) or f' There are {there}.'}")
    module = importlib.import_module(f"{package}.{name}")
    function = getattr(module, function_name, None)
    if function is None:
        raise CatalogError(f"{package}/{name}.py has no {function_name}(): it is not something a line can name.")
    signature = inspect.signature(function, eval_str=True)
    parameters = signature.parameters.values()
    positional = tuple(p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    rest = next((p for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    params = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and not p.name.startswith("_")}
    run = next((p.name for p in params.values() if p.annotation is Run), None)
    decided = next((p.name for p in params.values() if p.annotation is Decided), None)
    for taken in (run, decided):
        params.pop(taken or "", None)
    makes = next(iter(_shapes(signature.return_annotation)), None)
    return Maker(name, kind, module, function, positional, rest, params, makes, run, decided)


def _known(package: str) -> list[str]:
    spec = importlib.util.find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    return sorted(file.stem for folder in folders for file in folder.glob("[!_]*.py"))


def _shapes(annotation: Any) -> tuple[Shape, ...]:
    if get_origin(annotation) is Annotated:
        return tuple(mark for mark in get_args(annotation)[1:] if isinstance(mark, Shape))
    return ()


def _present(annotation: Any) -> Any:
    """Return an annotation without `| None`."""
    if get_origin(annotation) in (Union, UnionType):
        return next(a for a in get_args(annotation) if a is not NoneType)
    return annotation


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def bind(entry: Entry, catalog: Catalog) -> Recipe:
    """Return the line with every parameter bound and checked; CatalogError names the line and the cure."""
    at = f"{entry.where}: {entry.id}"
    try:
        maker = find_maker(entry.kind, entry.maker)
    except CatalogError as error:
        raise CatalogError(f"{at}: {error}") from error
    _check_inputs(entry, maker, catalog, at)
    if unknown := [name for name in entry.params if name not in maker.params]:
        raise CatalogError(
            f"{at}: {maker.name} has no parameter {unknown[0]!r}; it has {', '.join(maker.params) or 'none'}.{near(unknown[0], maker.params)}"
        )
    location = next((name for name, p in maker.params.items() if p.annotation in (Location, Folder)), None)
    folder = location is not None and maker.params[location].annotation == Folder
    params: dict[str, Any] = {}
    for name, parameter in maker.params.items():
        if name in entry.params:
            annotation = str if name == location else parameter.annotation
            params[name] = _checked(name, annotation, entry.params[name], at)
        elif parameter.default is not parameter.empty:
            params[name] = parameter.default
        else:
            raise CatalogError(f"{at}: {maker.name} needs the parameter {name}.{_right_sha256(name, entry, catalog, location)}")
    return Recipe(entry, maker, params, location, folder)


def _right_sha256(name: str, entry: Entry, catalog: Catalog, location: str | None) -> str:
    if name != "sha256" or location is None or location not in entry.params:
        return ""
    file = catalog.folder / str(entry.params[location])
    return f" That of {file.name} is: sha256: {location_hash(file)}" if file.exists() else f" ({file} does not exist.)"


def _check_inputs(entry: Entry, maker: Maker, catalog: Catalog, at: str) -> None:
    given, fewest = len(entry.inputs), sum(p.default is p.empty for p in maker.inputs)
    if given < fewest or (given > len(maker.inputs) and maker.rest is None):
        wanted = ", ".join([p.name for p in maker.inputs] + ([f"*{maker.rest.name}"] if maker.rest else []))
        raise CatalogError(f"{at}: {maker.name} takes the inputs ({wanted}); the line gives {given}.")
    for position, id in enumerate(entry.inputs):
        shapes, source = maker.shapes_taken(position), catalog.get(id)
        if source is None:
            continue
        if maker.takes_model(position) and source.kind != "model":
            raise CatalogError(f"{at}: input {position + 1} must be a model; {id} is a {source.kind}.")
        if source.kind == "model" and not maker.takes_model(position):
            raise CatalogError(f"{at}: input {position + 1} must be {names(shapes)} rows; {id} is a model.")
        if not shapes:
            continue
        made = _made(source, catalog)
        if made and made not in shapes:
            raise CatalogError(f"{at}: input {position + 1} must be {names(shapes)} rows; {id} has {made.name} rows.")
    if twice := [id for position, id in enumerate(entry.inputs) if id in entry.inputs[:position]]:
        raise CatalogError(f"{at}: the input {twice[0]} stands twice. Take one out.")


def names(shapes: tuple[Shape, ...]) -> str:
    return " or ".join(shape.name for shape in shapes) or "some kind of"


def _made(entry: Entry, catalog: Catalog) -> Shape | None:
    """Return the rows that a line makes; None where its own line, or the plan, will say what is wrong with it."""
    passed: set[ArtifactId] = set()
    line: Entry | None = entry
    while line is not None and line.id not in passed:
        passed.add(line.id)
        try:
            maker = find_maker(line.kind, line.maker)
        except CatalogError:
            return None
        if maker.makes or not line.inputs:
            return maker.makes
        line = catalog.get(line.inputs[0])
    return None


def _checked(name: str, annotation: Any, value: Any, at: str) -> Any:
    try:
        return _adapter(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        quote = " Put it in quotes." if problem["type"] == "string_type" else ""
        raise CatalogError(f"{at}: {name} is {value!r}: {problem['msg'][:1].lower()}{problem['msg'][1:]}.{quote}") from error


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))
    except PydanticUserError:
        return TypeAdapter(annotation)


def recorded(recipe: Recipe) -> dict[str, Any]:
    """Return the parameters as artifact.json keeps them: of a Location only the file's name."""
    return {name: Path(value).name if name == recipe.location else value for name, value in recipe.params.items()}
