#!/usr/bin/env bash
# Hera's client, as PyPI has it, against `argosy dev`.  tests/clients/run.sh ARGOSY
set -euo pipefail
argosy=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
venv="$HOME/.cache/argosy/hera-7"
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import hera' 2>/dev/null; then
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'hera>=7,<8'; } || {
        echo "Hera cannot be installed on this machine: not tested"
        exit 0
    }
fi
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
timeout --kill-after=10 300 "$venv/bin/python" -W ignore "$here/with_hera.py"
