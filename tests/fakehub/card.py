"""What the Hub says of a README: its front matter, errors and warnings."""

import re
from collections.abc import Iterator
from typing import Any

import yaml


def _words(text: str) -> list[str]:
    return text.split()


LICENSES = _words("""apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl
lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0
openmdw-1.1 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown
other""")
SIZES = _words("n<1K 1K<n<10K 10K<n<100K 100K<n<1M 1M<n<10M 10M<n<100M 100M<n<1B 1B<n<10B 10B<n<100B 100B<n<1T n>1T")
TASKS = _words("""text-classification token-classification table-question-answering question-answering zero-shot-classification
translation summarization feature-extraction text-generation fill-mask sentence-similarity tabular-to-text
table-to-text multiple-choice text-ranking text-retrieval reinforcement-learning other""")  # those of text
FRONT_MATTER = re.compile(r"^(\s*---[\r\n]+)([\S\s]*?)([\r\n]+---(\r\n|\n|$))")  # the Hub's own


class _CardLoader(yaml.SafeLoader):
    """YAML as the Hub's parser reads it: `no` is a word, and a key comes once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(self.construct_object(key, deep=True)) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.constructor.ConstructorError(None, None, "duplicated mapping key", node.start_mark)
        return super().construct_mapping(node, deep)


_CardLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rules if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_card(content: str) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return a README's metadata, the errors for which the Hub refuses it, and the warnings it gives."""
    block = FRONT_MATTER.match(content)
    if block is None:
        return {}, [], ["empty or missing yaml metadata in repo card"]
    try:
        card = yaml.load(block[2], _CardLoader)
    except yaml.YAMLError as error:
        return {}, [f"Invalid YAML in README.md: {error}"], []
    if isinstance(card, list):
        return {}, ['"value" must be of type object'], []
    if not isinstance(card, dict):
        return {}, ["The YAML metadata of your README.md is invalid."], []
    unknown = [task for task in _listed(card, "task_categories") if task not in TASKS]
    warnings = [f'The task_categories "{task}" is not in the official list: {", ".join(TASKS)}' for task in unknown]
    return card, [*_card_errors(card), *_config_errors(card.get("configs", []))], warnings


def _listed(card: dict[str, Any], key: str) -> list[Any]:
    value = card.get(key, [])
    return value if isinstance(value, list) else [value]


def _card_errors(card: dict[str, Any]) -> Iterator[str]:
    for key in ("tags", "source_datasets"):
        if not isinstance(card.get(key, []), list):
            yield f'"{key}" must be an array'
    for key in ("pretty_name", "license_name", "license_link", "paperswithcode_id"):
        if not isinstance(card.get(key, ""), str):
            yield f'"{key}" must be a string'
    for key in _words("tags source_datasets license language size_categories task_categories task_ids multilinguality"):
        if not all(isinstance(word, str) for word in _listed(card, key)):
            yield f'"{key}" must be a string or an array of strings'
    for key, allowed in (("license", LICENSES), ("size_categories", SIZES)):
        if any(word not in allowed for word in _listed(card, key)):
            yield f'"{key}" must be one of [{", ".join(allowed)}]'
    for word in _listed(card, "language"):
        if not re.fullmatch("[a-z]{2,3}|code|multilingual", str(word)):
            wanted = 'It must be an ISO 639-1, 639-2 or 639-3 code (two/three letters), or a special value like "code", "multilingual".'
            yield f'"language" with value "{word}" is not valid. {wanted}'
    infos = _listed(card, "dataset_info")
    if not all(isinstance(info, dict) and ("config_name" in info or len(infos) == 1) for info in infos):
        yield '"dataset_info" must be of type object, or an array of objects with a config_name'
    if not re.fullmatch("[a-z0-9-.]+", str(card.get("license_name", "other"))):
        yield '"license_name" fails to match the required pattern: /^[a-z0-9-.]+$/'
    if not re.fullmatch(r"LICENSE(\.md)?|[a-z]+://\S+", str(card.get("license_link", "LICENSE"))):
        yield '"license_link" must be one of [LICENSE, LICENSE.md] or a valid uri'


def _config_errors(configs: Any) -> Iterator[str]:
    if not isinstance(configs, list):
        yield '"configs" must be an array'
        return
    for n, config in enumerate(configs):
        if not isinstance(config, dict):
            yield f'"configs[{n}]" must be of type object'
        elif "config_name" not in config:
            yield f'"configs[{n}].config_name" is required'
        elif not re.fullmatch(r'[^<>:/\\|?*"\s]+', str(config["config_name"])):
            yield f'"configs[{n}].config_name" is not a name'
        elif not isinstance(config.get("default", False), bool):
            yield f'"configs[{n}].default" must be a boolean'
        elif not _is_data_files(config.get("data_files", "*")):
            yield f'"configs[{n}].data_files" must be paths, or an array of {{split, path}}'
    named = [config.get("config_name") for config in configs if isinstance(config, dict)]
    if len(named) != len(set(map(str, named))):
        yield '"configs" contains a duplicate value'
    if sum(config.get("default") is True for config in configs if isinstance(config, dict)) > 1:
        yield '"configs" has several defaults'


def _is_data_files(value: Any) -> bool:
    def is_paths(value: Any) -> bool:
        return isinstance(value, str) or (isinstance(value, list) and all(isinstance(path, str) for path in value))

    return is_paths(value) or (
        isinstance(value, list)
        and all(
            isinstance(part, dict)
            and set(part) == {"split", "path"}
            and re.fullmatch(r"\w+(\.\w+)*", str(part["split"]))
            and is_paths(part["path"])
            for part in value
        )
    )
