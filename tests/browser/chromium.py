"""Where Chromium is on this machine: `python -m tests.browser.chromium` installs it where apt-get may, or says what is missing."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PACKAGES = ("chromium", "fonts-dejavu-core")
MISSING = (
    "no Chromium is on this machine. Install the package chromium (or google-chrome) and run this again, or name its program: "
    "RFT_CHROMIUM=/path/to/chromium make test-browser"
)


def chromium() -> str | None:
    """Return the program, or None if there is none: what RFT_CHROMIUM names, else the first that is on the path."""
    return shutil.which(os.environ.get("RFT_CHROMIUM") or "") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    if chromium() is None and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES], check=False)
    if chromium() is None:
        sys.exit(MISSING)


if __name__ == "__main__":
    main()
