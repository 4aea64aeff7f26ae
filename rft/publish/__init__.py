"""Publish artifacts on the Hugging Face Hub and take them back: checks first, then one commit, read back, then the tag."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a check found.

    `gate`: rows, contamination, licence or secrets. `name`: what an override names ("contamination/gsm8k-test@1").
    `says`: what, where, why, and what to do. `stops`: it keeps the artifact from being published, unless overridden.
    """

    gate: str
    name: str
    says: str
    stops: bool
