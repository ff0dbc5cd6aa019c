#!/usr/bin/env python3
"""Writes crds.json from the CRDs: `python3 generate.py ../../../../deploy/crds > crds.json` (needs PyYAML).

The schemas are kept whole; equal sub-schemas become one entry of `defs`, which `{"ref": number}` names.
"""
import json
import pathlib
import sys

import yaml

# A shorter schema is written out wherever it is.
SHARED_BYTES_MIN = 60


def main(folder):
    defs, numbers, kinds = [], {}, {}

    def share(schema):
        out = dict(schema)
        if "properties" in out:
            out["properties"] = {name: share(sub) for name, sub in out["properties"].items()}
        for key in ("items", "additionalProperties"):
            if isinstance(out.get(key), dict):
                out[key] = share(out[key])
        text = json.dumps(out, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if len(text) < SHARED_BYTES_MIN:
            return out
        if text not in numbers:
            numbers[text] = len(defs)
            defs.append(text)
        return {"ref": numbers[text]}

    for path in sorted(pathlib.Path(folder).glob("*.yaml")):
        crd = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
        kinds[crd["spec"]["names"]["plural"]] = share(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    head = json.dumps({"kinds": kinds}, sort_keys=True, separators=(",", ":"))
    print(head[:-1] + ',"defs":[\n' + ",\n".join(defs) + "\n]}")


main(sys.argv[1])
