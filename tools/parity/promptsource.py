"""Renders test/fixtures/prompts/templates.yaml and rows.json by promptsource 0.2.3 into expected.json.

promptsource needs Python 3.7 to 3.9 and is installed without what it does not need here:
  python3.9 -m venv /tmp/promptsource && /tmp/promptsource/bin/pip install --no-deps promptsource==0.2.3 jinja2==3.1.6 markupsafe pyyaml
  /tmp/promptsource/bin/python tools/parity/promptsource.py [DATA]
The filter `choice` takes the first of its list.
With DATA, the folder of promptsource's own 58 template files, these are rendered on rows.json too and hashes.json is written: for each data set the SHA-256 of
what came out (`canonical`), so that the data tests can compare without a word of theirs in this repository.
"""
import glob
import hashlib
import importlib.util
import json
import pathlib
import site
import sys
import types

FIXTURES = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "prompts"


def load_promptsource():
    """Its module alone: the package imports streamlit and datasets."""
    sys.modules["pandas"] = types.ModuleType("pandas")
    sys.modules["pandas"].DataFrame = object
    path = pathlib.Path(site.getsitepackages()[0]) / "promptsource" / "templates.py"
    sys.modules["promptsource_templates"] = types.ModuleType("promptsource_templates")
    sys.modules["promptsource_templates"].__file__ = str(path)
    spec = importlib.util.spec_from_file_location("promptsource_templates", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.random.choice = lambda choices: choices[0]
    return module


def render(module, path, rows_of):
    document = module.yaml.load(open(path, encoding="utf-8"), Loader=module.yaml.FullLoader)
    name = "/".join(filter(None, [document["dataset"], document.get("subset")]))
    return name, {
        template.name: [
            {"parts": template.apply(row, truncate=False), "choices": template.get_answer_choices_list(row)}
            for row in rows_of[name]
        ]
        for template in document["templates"].values()
    }


def canonical(rendered):
    """What is trained on: input, targets and choices; null where the template wants no example of a row."""
    lines = []
    for results in rendered.values():
        for result in results:
            given, *targets = result["parts"]
            targets = list(dict.fromkeys(target for target in targets if target != ""))
            known = list(dict.fromkeys(result["choices"] or []))
            choices = known if len(known) > 1 and all(target in known for target in targets) else None
            lines.append([given, targets, choices] if given != "" and targets else None)
    return json.dumps(lines, ensure_ascii=False, separators=(",", ":"))


def write(name, value):
    (FIXTURES / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    module = load_promptsource()
    rows_of = json.load(open(FIXTURES / "rows.json", encoding="utf-8"))
    write("expected.json", render(module, FIXTURES / "templates.yaml", rows_of)[1])
    if len(sys.argv) > 1:
        files = sorted(glob.glob(f"{sys.argv[1]}/**/templates.yaml", recursive=True))
        hashes = {}
        for file in files:
            name, rendered = render(module, file, rows_of)
            hashes[name] = hashlib.sha256(canonical(rendered).encode()).hexdigest()
        write("hashes.json", hashes)


main()
