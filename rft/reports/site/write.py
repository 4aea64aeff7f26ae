"""Write the report of a store as a folder of pages that opens from the disk.

    index.html   laws.html   demo-rft-union@1.html ...   style.css   rft-report.json (which files are the report's)

The same store gives the same bytes. A folder is replaced whole, and only if nothing but a report of ours is in it.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from registry.catalog.read import Catalog
from registry.errors import Conflict, RftError
from registry.files import no_space_is_an_error, read_json, replaced_folder
from registry.maker import Progress, nothing
from registry.names import ArtifactId
from registry.query.api import Registry
from rft.reports.site.html import environment
from rft.reports.site.overview import overview
from rft.reports.site.pages import Licences, page, site
from rft.reports.site.paper import laws_page

INDEX, LAWS, STYLE, MARKER = "index.html", "laws.html", "style.css", "rft-report.json"


@dataclass(frozen=True)
class Written:
    """Where the first page is, and how many pages there are."""

    path: str
    pages: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def write(
    registry: Registry,
    catalog: Catalog | None,
    ids: Sequence[ArtifactId] | None,
    folder: Path,
    licences: Licences,
    progress: Progress = nothing,
) -> Written:
    """Write the report of `ids` and all they were made from into `folder`; None: of all that is built, and the catalog.

    `licences` says what an artifact, made from some others, rests on, a row for each source. Raises Conflict if `folder` holds
    anything but a report, RftError if it cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    check_folder(folder)
    found = site(registry, catalog, ids, licences)
    total = len(found.records) + 2
    try:
        with no_space_is_an_error(), replaced_folder(folder) as scratch:
            for done, id in enumerate(found.records):
                progress(done, total, "pages", id)
                _put(scratch, f"{id}.html", "artifact", title=id, page=page(found, id))
            progress(total - 2, total, "pages", LAWS)
            _put(scratch, LAWS, "laws", **laws_page(found))
            _put(scratch, INDEX, "index", **overview(found))
            (scratch / STYLE).write_text((resources.files("rft.reports.site") / STYLE).read_text(encoding="utf-8"))
            files = sorted([*(file.name for file in scratch.iterdir()), MARKER])
            (scratch / MARKER).write_text(json.dumps({"made_by": "rft report", "files": files}, indent=1) + "\n")
    except OSError as error:
        raise RftError(f"{folder} cannot be written ({error.strerror}). -o names another folder.") from error
    return Written(str(folder / INDEX), total)


def check_folder(folder: Path) -> None:
    """Raise Conflict unless `folder` is not there, is empty, or holds a report of ours and nothing else."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Conflict(
            f"{folder} is {'a link' if folder.is_symlink() else 'a file'}. -o names a folder, which the report replaces."
        )
    there = {each.name for each in folder.iterdir()} if folder.exists() else set()
    ours = set(read_json(folder / MARKER).get("files", ()))
    if other := sorted(there - ours):
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        whose = "files that are no report" if not ours else "files beside a report"
        raise Conflict(
            f"{folder} has {whose} in it: {', '.join(other[:3])}{more}. Move them away, or name another folder with -o."
        )


def _put(folder: Path, name: str, template: str, **values: Any) -> None:
    text = environment().get_template(f"{template}.html.jinja").render(here=name, **values)
    (folder / name).write_text(text, encoding="utf-8")
