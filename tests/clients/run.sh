#!/usr/bin/env bash
# Hera's client, as PyPI has it, and the `argo` command, built from its Go module, against `argosy dev`.
# usage: tests/clients/run.sh ARGOSY
# What cannot be had on this machine is said, and not tested.
set -euo pipefail
argosy=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
cache="$HOME/.cache/argosy"
venv=$cache/hera-7
argo_version=v4.0.5
argo=$cache/argo-$argo_version/argo

hera() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import hera' 2>/dev/null && return
    python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'hera>=7,<8'
}

# `go install` does not do: the module embeds the built web page, which is not in it. An empty one will.
argo_command() {
    local dir source
    [ ! -x "$argo" ] || return 0
    command -v go >/dev/null || return 1
    dir=$(dirname "$argo")
    mkdir -p "$dir"
    source=$(cd "$dir" && go mod download -json "github.com/argoproj/argo-workflows/v4@$argo_version" |
        sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    [ -d "$source" ] || return 1
    rm -rf "$dir/source" && cp -r "$source" "$dir/source" && chmod -R u+w "$dir/source" || return 1
    mkdir -p "$dir/source/ui/dist/app" && touch "$dir/source/ui/dist/app/index.html"
    (cd "$dir/source" && CGO_ENABLED=0 go build -o "$argo.new" ./cmd/argo) && mv "$argo.new" "$argo" || return 1
    rm -rf "$dir/source"
}

dir=$(mktemp -d)
HOME=$dir "$argosy" dev --port 0 --server-port 0 --data-dir "$dir/data" >"$dir/log" 2>&1 &
dev=$!
trap 'kill $dev 2>/dev/null || true; wait $dev 2>/dev/null || true; rm -rf "$dir"' EXIT
for _ in $(seq 300); do
    HOST=$(sed -n "s/^Argo's API: *\([^,]*\),.*/\1/p" "$dir/log")
    [ -z "$HOST" ] || break
    sleep 0.1
done
[ -n "$HOST" ] || { cat "$dir/log"; exit 1; }
TOKEN=$(sed -n 's/^ *token: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$dir/data/kubeconfig")
export HOST TOKEN
if hera; then
    timeout --kill-after=10 300 "$venv/bin/python" -W ignore "$here/with_hera.py"
else
    echo "Hera cannot be installed on this machine: not tested"
fi
if argo_command; then
    timeout --kill-after=10 600 "$here/with_argo.sh" "$argo"
else
    echo "the argo command cannot be built on this machine: not tested"
fi
