#!/usr/bin/env bash
# Runs each role as a process of its own, with the rights that deploy/overlays/ha gives it: its service account at the API,
# its user at NATS. A workflow that suspends, with a pod, a claim, a cache, a schedule's run and a time to live, touches all
# that the roles ask for; whatever is refused is found in their logs.
# usage: KUBECONFIG=… NATS_SERVER=/path/to/nats-server tests/cluster/rights.sh
# No pod has to run: an image that cannot be pulled will do. ARGOSY names the program (default target/debug/argosy).
set -uo pipefail
cd "$(dirname "$0")/../.."
for variable in KUBECONFIG NATS_SERVER; do
  if [ -z "${!variable:-}" ]; then echo "not run: $variable is not set" >&2; exit 77; fi
done
argosy=${ARGOSY:-target/debug/argosy} logs=${LOGS:-$(mktemp -d)} port=${PORT:-4333}
roles="watcher scheduler pod-runner status recorder cron-runner gc"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null' EXIT
mkdir -p "$logs"

# NATS: the users of the overlay, on one server.
for role in $roles; do
  name=$(tr 'a-z-' 'A-Z_' <<<"$role")_PASSWORD
  export "$name=secret-of-$role"
done
sed -e '/^cluster {/,/^}/d' -e '/^server_name/d' -e '/^http_port/d' -e "s/^port: .*/port: $port/" \
  -e "s#store_dir: /data#store_dir: $logs/nats#" deploy/overlays/ha/nats.conf > "$logs/nats.conf"
"$NATS_SERVER" --config "$logs/nats.conf" > "$logs/nats.log" 2>&1 & pids+=($!)

# The API: the service accounts of the overlay.
kubectl apply --server-side -f deploy/crds >/dev/null || exit 1
kubectl create namespace argosy --dry-run=client -o yaml | kubectl apply -f - >/dev/null
{ cat deploy/overlays/ha/rbac.yaml; echo ---; sed -n '/^# The configuration/,$p' deploy/base/rbac.yaml
  for role in $roles; do printf -- '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: argosy-%s}\n' "$role"; done
  echo ---; cat deploy/base/configuration.yaml; } | kubectl -n argosy apply -f - >/dev/null || exit 1
for role in $roles; do
  kubectl config view --raw --minify -o json | jq --arg token "$(kubectl -n argosy create token "argosy-$role")" \
    '.users[0].user = {token: $token} | .contexts[0].context.namespace = "argosy"' > "$logs/$role.kubeconfig"
  config=(--config-map workflow-controller-configmap)
  [ "$role" = status ] && config=()
  password="secret-of-$role"
  KUBECONFIG="$logs/$role.kubeconfig" "$argosy" "$role" --nats "nats://$role:$password@127.0.0.1:$port" --shards 4 \
    "${config[@]}" > "$logs/$role.log" 2>&1 & pids+=($!)
done
sleep 5

kubectl -n argosy delete workflow,cronworkflow --all >/dev/null 2>&1
kubectl -n argosy apply -f - >/dev/null <<'Y' || exit 1
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: rights}
spec:
  schedules: ["* * * * *"]
  workflowSpec:
    entrypoint: main
    ttlStrategy: {secondsAfterCompletion: 0}
    templates: [{name: main, suspend: {duration: "1"}}]
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: rights-pod}
spec:
  entrypoint: main
  activeDeadlineSeconds: 15
  podGC: {strategy: OnWorkflowCompletion, deleteDelayDuration: 0s}
  volumeClaimGC: {strategy: OnWorkflowCompletion}
  volumeClaimTemplates: [{metadata: {name: v}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}]
  templates: [{name: main, container: {image: "localhost/none:1", command: ["true"]}}]
Y
failures=0
expect() { if [ "$2" = "$3" ]; then echo "ok        $1"; else echo "FAILED    $1: $2, not $3"; failures=$((failures + 1)); fi; }
phase=
for _ in $(seq 90); do
  phase=$(kubectl -n argosy get workflow rights-pod -o jsonpath='{.status.phase}')
  [ "$phase" = Failed ] && break
  sleep 0.5
done
expect "a workflow with a pod and a claim ends at its deadline" "$phase" Failed
started=0
for _ in $(seq 160); do
  started=$(kubectl -n argosy get cronworkflow rights -o jsonpath='{.status.succeeded}')
  [ "${started:-0}" -ge 1 ] 2>/dev/null && break
  sleep 0.5
done
expect "a schedule's run has succeeded" "$([ "${started:-0}" -ge 1 ] && echo yes || echo no)" yes
sleep 10
left=$(kubectl -n argosy get workflows -l workflows.argoproj.io/cron-workflow=rights,workflows.argoproj.io/completed=true -o name | wc -l)
expect "runs whose time is up are deleted" "$left" 0
expect "pods are gone" "$(kubectl -n argosy get pods -l workflows.argoproj.io/workflow=rights-pod -o name | wc -l)" 0
expect "events are recorded" "$([ "$(kubectl -n argosy get events -o name | wc -l)" -gt 0 ] && echo yes || echo no)" yes
for role in $roles; do
  refused=$(grep -ciE 'forbidden|permissions violation|authorization violation' "$logs/$role.log")
  expect "nothing is refused to $role" "$refused" 0
done
kubectl -n argosy delete cronworkflow rights >/dev/null 2>&1
echo "$failures failed; logs are in $logs"
[ "$failures" = 0 ]
