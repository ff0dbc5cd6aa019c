#!/usr/bin/env python3
"""Writes schema.json from the CRDs: `python3 generate.py ../../../../deploy/crds > schema.json` (needs PyYAML).

What the checker uses is kept (types, properties, required, enum); equal sub-schemas become one entry of `defs`.
`inline` templates, which a CRD cannot describe as they are recursive, become `{"template": true}`.
"""
import json
import pathlib
import sys

import yaml

KEPT = {"type", "properties", "items", "additionalProperties", "required", "enum"}
# What fields are that a CRD leaves open.
OPEN = {"inline": {"template": True}, "withItems": {"type": "array"}}
KINDS = ["workflows", "workflowtemplates", "clusterworkflowtemplates", "cronworkflows", "workfloweventbindings"]
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
OBJECTS = {"type": "array", "items": {"type": "object"}}
META = {"type": "object", "properties": {
    "name": {"type": "string"}, "generateName": {"type": "string"}, "namespace": {"type": "string"},
    "labels": STRINGS, "annotations": STRINGS, "uid": {"type": "string"}, "resourceVersion": {"type": "string"},
    "generation": {"type": "integer"}, "creationTimestamp": {"type": "string"}, "deletionTimestamp": {"type": "string"},
    "deletionGracePeriodSeconds": {"type": "integer"}, "selfLink": {"type": "string"}, "ownerReferences": OBJECTS,
    "managedFields": OBJECTS, "finalizers": {"type": "array", "items": {"type": "string"}}}}
HEAD = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": META}
CORE = {
    "ConfigMap": {"data": STRINGS, "binaryData": STRINGS, "immutable": {"type": "boolean"}},
    "Secret": {"data": STRINGS, "stringData": STRINGS, "type": {"type": "string"}, "immutable": {"type": "boolean"}},
    "ServiceAccount": {"secrets": OBJECTS, "imagePullSecrets": OBJECTS, "automountServiceAccountToken": {"type": "boolean"}},
}


def trim(schema, field=""):
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": "int-or-string"}
    if schema.get("x-kubernetes-preserve-unknown-fields") and "properties" not in schema:
        return OPEN.get(field, {})
    out = {key: value for key, value in schema.items() if key in KEPT}
    if "properties" in out:
        out["properties"] = {name: trim(sub, name) for name, sub in out["properties"].items()}
        any_strings(out["properties"])
    for key in ("items", "additionalProperties"):
        if isinstance(out.get(key), dict):
            out[key] = trim(out[key])
    return out


def any_strings(properties):
    """Argo's `AnyString`: the CRD says string, the decoder also takes numbers and bools."""
    scalar = {"type": "any-string"}
    if {"name", "value", "valueFrom", "globalName"} <= properties.keys():
        properties["value"] = properties["default"] = scalar
        properties["enum"] = {"type": "array", "items": scalar}
    if {"default", "jqFilter", "supplied"} <= properties.keys():
        properties["default"] = scalar


def main(folder):
    roots = {}
    for name in KINDS:
        crd = yaml.load((pathlib.Path(folder) / f"argoproj.io_{name}.yaml").read_text(), Loader=yaml.CSafeLoader)
        root = trim(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        root["properties"]["metadata"] = META
        roots[crd["spec"]["names"]["kind"]] = root
    claim = roots["Workflow"]["properties"]["spec"]["properties"]["volumeClaimTemplates"]["items"]
    roots["PersistentVolumeClaim"] = {**claim, "properties": {**claim["properties"], "metadata": META}}
    for kind, properties in CORE.items():
        roots[kind] = {"type": "object", "properties": {**HEAD, **properties}}

    defs, numbers = [], {}

    def share(schema):
        out = dict(schema)
        if "properties" in out:
            out["properties"] = {name: share(sub) for name, sub in out["properties"].items()}
        for key in ("items", "additionalProperties"):
            if isinstance(out.get(key), dict):
                out[key] = share(out[key])
        if not ({"properties", "items"} & out.keys()):
            return out
        text = json.dumps(out, sort_keys=True)
        if text not in numbers:
            numbers[text] = len(defs)
            defs.append(out)
        return {"ref": numbers[text]}

    template = share(roots["Workflow"]["properties"]["spec"]["properties"]["templates"]["items"])
    kinds = {kind: share(root) for kind, root in roots.items()}
    lines = ",\n".join(json.dumps(d, sort_keys=True, separators=(",", ":")) for d in defs)
    head = json.dumps({"template": template, "kinds": kinds}, sort_keys=True, separators=(",", ":"))
    print(head[:-1] + ',"defs":[\n' + lines + "\n]}")


main(sys.argv[1])
