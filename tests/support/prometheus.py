"""The text format of Prometheus, version 0.0.4, read strictly: what is not quite right is an error."""
import re

NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{({NAME})="((?:[^"\\\n]|\\["\\n])*)"\}})? (\S+)')


def _begin(words, families):
    name = words[2]
    if name in families or len(words) < 4:
        raise ValueError(f"a family twice, or without help: {words}")
    families[name] = {"help": " ".join(words[3:]), "type": None, "samples": {}}
    return name


def read(text):
    """{family: {"help", "type", "samples": {label's value or "": number}}}"""
    families, name = {}, None
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    for line in text.split("\n")[:-1]:
        words = line.split(" ")
        if line.startswith("# HELP "):
            name = _begin(words, families)
        elif line.startswith("# TYPE "):
            if words[2] != name or families[name]["samples"] or words[3] not in ("gauge", "counter") or len(words) > 4:
                raise ValueError(f"no type of {name}: {line}")
            families[name]["type"] = words[3]
        else:
            sample = SAMPLE.fullmatch(line)
            if not sample or sample[1] != name or not families[name]["type"] or (sample[3] or "") in families[name]["samples"]:
                raise ValueError(f"no sample of {name}: {line}")
            families[name]["samples"][sample[3] or ""] = float(sample[4])
    for name, family in families.items():
        if (family["type"] == "counter") != name.endswith("_total"):
            raise ValueError(f"{name} is a {family['type']}")
    return families
