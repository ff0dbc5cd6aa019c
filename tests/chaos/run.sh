#!/usr/bin/env bash
# Drills: two processes of each service on a real cluster are killed, frozen, cut off and robbed of NATS while workflows run.
# After each drill every workflow has succeeded with the result of an undisturbed run, and no attempt of a step had two pods.
# usage: KUBECONFIG=… NATS_SERVER=/path/to/nats-server EXECUTOR_IMAGE=… tests/chaos/run.sh [--times N] [--workflows N] [DRILL…]
# Drills: calm kill freeze nats-killed nats-lost pods-deleted api-restarted (the last needs API_RESTART, a command that restarts
# the API server). Further: ARGOSY (the program, default target/debug/argosy), NAMESPACE, LOGS, PORT (of NATS), LIMIT (seconds
# that a drill may take).
set -uo pipefail
cd "$(dirname "$0")/../.."
times=1 count=6 drills=()
while [ $# -gt 0 ]; do
  case $1 in --times) times=$2; shift ;; --workflows) count=$2; shift ;; -*) sed -n 2,8p "$0"; exit 2 ;; *) drills+=("$1") ;; esac
  shift
done
for variable in KUBECONFIG NATS_SERVER EXECUTOR_IMAGE; do
  if [ -z "${!variable:-}" ]; then echo "not run: $variable is not set" >&2; exit 77; fi
done
argosy=${ARGOSY:-target/debug/argosy} namespace=${NAMESPACE:-argosy-chaos} logs=${LOGS:-$(mktemp -d)} port=${PORT:-4555}
limit=${LIMIT:-300} lease=5
if [ ${#drills[@]} = 0 ]; then
  drills=(calm kill freeze nats-killed nats-lost pods-deleted)
  [ -z "${API_RESTART:-}" ] || drills+=(api-restarted)
fi
mkdir -p "$logs"
k() { kubectl -n "$namespace" "$@"; }
now() { date +%s%3N; }

# --- what runs ------------------------------------------------------------------------------------------------
declare -A pids
services=()
for role in watcher scheduler pod-runner status; do services+=("$role.0" "$role.1"); done

nats_up() {
  "$NATS_SERVER" --jetstream --store_dir "$logs/nats" --addr 127.0.0.1 --port "$port" >>"$logs/nats.log" 2>&1 & pids[nats]=$!
  disown "${pids[nats]}"
}
up() {
  local role=${1%.*}
  # One after the other, so that a port that another takes is no cause of a failed drill.
  local more=()
  case $role in
    scheduler) more=(--scheduler-lease-secs $lease) ;;
    pod-runner) more=(--pod-runner-lease-secs $lease --executor-image "$EXECUTOR_IMAGE") ;;
    status) more=(--status-lease-secs $lease) ;;
  esac
  "$argosy" "$role" --nats "nats://127.0.0.1:$port" --prefix chaos --shards 4 "${more[@]}" >>"$logs/$1.log" 2>&1 & pids[$1]=$!
  disown "${pids[$1]}"
}
down() { kill -9 "${pids[$1]}" 2>/dev/null; }
finish() {
  for name in "${!pids[@]}"; do kill -CONT "${pids[$name]}" 2>/dev/null; kill -9 "${pids[$name]}" 2>/dev/null; done
  [ -z "${watch:-}" ] || kill "$watch" 2>/dev/null
}
trap finish EXIT

# --- the workload -----------------------------------------------------------------------------------------------
# Steps one after the other, each of which gets the result of the one before, beside a loop; the end of the chain is known.
workload() {
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: $1, labels: {drill: "$2"}}
spec:
  entrypoint: main
  serviceAccountName: default
  templates:
    - name: main
      retryStrategy: {limit: "0"}
      steps:
        - - {name: first, template: next, arguments: {parameters: [{name: number, value: "1"}]}}
          - {name: beside, template: next, arguments: {parameters: [{name: number, value: "{{item}}"}]}, withItems: [10, 20]}
        - - {name: second, template: next, arguments: {parameters: [{name: number, value: "{{steps.first.outputs.result}}"}]}}
        - - {name: third, template: next, arguments: {parameters: [{name: number, value: "{{steps.second.outputs.result}}"}]}}
      outputs:
        parameters: [{name: end, valueFrom: {parameter: "{{steps.third.outputs.result}}"}}]
    - name: next
      inputs: {parameters: [{name: number}]}
      # A pod that somebody deletes is tried again; an attempt has one pod all the same.
      retryStrategy: {limit: "20", retryPolicy: Always}
      container: {image: busybox, command: [sh, -c, "sleep 1; expr {{inputs.parameters.number}} + 1"]}
Y
}

# --- drills: each does its harm until it is told to stop -------------------------------------------------------
calm() { :; }
kill_() { local name=${services[RANDOM % ${#services[@]}]}; down "$name"; sleep 0.2; up "$name"; sleep 1.3; }
freeze_() {
  local name=${services[RANDOM % ${#services[@]}]} pid
  pid=${pids[$name]}
  kill -STOP "$pid"; sleep $((lease + 3)); kill -CONT "$pid"; sleep 1
}
nats_killed() { down nats; sleep 1; nats_up; sleep 4; }
nats_lost() {
  # Once, in the middle.
  [ -z "${done_once:-}" ] || { sleep 1; return; }
  done_once=1; sleep 3; down nats; rm -rf "$logs/nats"; sleep 1; nats_up
}
pods_deleted() {
  # Not for ever: what runs last would never end.
  local pod
  [ $((deleted += 1)) -le $((2 * count)) ] || { sleep 1; return; }
  pod=$(k get pods --field-selector status.phase=Running -o name | shuf -n 1)
  [ -z "$pod" ] || k delete --wait=false --grace-period=0 --force "$pod" >/dev/null 2>&1
  sleep 2
}
api_restarted() {
  [ -z "${done_once:-}" ] || { sleep 1; return; }
  done_once=1; sleep 3; eval "$API_RESTART" >>"$logs/api.log" 2>&1
}

# --- judgement --------------------------------------------------------------------------------------------------
phases() { kubectl -n "$namespace" get workflows -l "drill=$1" -o jsonpath='{range .items[*]}{.status.phase}{"\n"}{end}' 2>/dev/null; }

drill() {
  local name=$1 id="$1-$2" began ended left harm bad=0
  done_once= deleted=0
  for n in $(seq "$count"); do workload "$id-$n" "$id"; echo ---; done | k create -f - >/dev/null || { echo "FAILED    $id: not created"; return 1; }
  began=$(now)
  harm=${name//-/_}
  case $name in kill | freeze) harm=${harm}_ ;; esac
  while :; do
    # The API server may be away itself.
    left=$((count - $(phases "$id" | grep -cE '^(Succeeded|Failed|Error)$')))
    if [ "$left" = 0 ]; then break; fi
    if [ $(($(now) - began)) -gt $((limit * 1000)) ]; then break; fi
    if [ "$name" = calm ]; then sleep 0.3; else $harm; fi
  done
  ended=$(now)
  k get workflows -l "drill=$id" -o json > "$logs/$id.json"
  local results
  results=$(jq -r '.items[] | "\(.status.phase) \(.status.outputs.parameters[0].value // .status.nodes[.metadata.name].outputs.parameters[0].value // "-")"' "$logs/$id.json" | sort | uniq -c | sed 's/^ *//')
  [ "$results" = "$count Succeeded 4" ] || { echo "FAILED    $id: $results"; bad=1; }
  # A node of a pod is one attempt. Of each, the watch must have seen one pod.
  local twice
  twice=$(jq -rn --arg id "$id-" 'reduce (inputs | select(.metadata.labels["workflows.argoproj.io/workflow"] // "" | startswith($id)))
    as $pod ({}; .[$pod.metadata.annotations["workflows.argoproj.io/node-id"]][$pod.metadata.uid] = 1)
    | to_entries[] | select(.value | length > 1) | .key' "$logs/pods.json" 2>/dev/null)
  [ -z "$twice" ] || { echo "FAILED    $id: two pods for" $twice; bad=1; }
  local seen
  seen=$(jq -rn --arg id "$id-" '[inputs | select(.metadata.labels["workflows.argoproj.io/workflow"] // "" | startswith($id)) | .metadata.uid] | unique | length' "$logs/pods.json" 2>/dev/null)
  [ "${seen:-0}" -ge $((5 * count)) ] || { echo "FAILED    $id: the watch saw ${seen:-no} pods"; bad=1; }
  [ $bad = 1 ] || echo "ok        $id: $count workflows, $seen pods, $((ended - began)) ms"
  k delete workflows -l "drill=$id" --wait=false >/dev/null 2>&1
  return $bad
}

kubectl apply --server-side -f deploy/crds >/dev/null || exit 1
kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
# Results of steps come as WorkflowTaskResults where they are large.
k create rolebinding argosy-chaos --clusterrole=cluster-admin --serviceaccount="$namespace:default" --dry-run=client -o yaml | k apply -f - >/dev/null
for _ in $(seq 50); do k get serviceaccount default >/dev/null 2>&1 && break; sleep 0.1; done
nats_up
sleep 1
for name in "${services[@]}"; do up "$name"; done
# A watch that breaks off is begun again; what was there is told again.
(while :; do kubectl -n "$namespace" get pods --watch -o json --output-watch-events=false 2>/dev/null; sleep 0.2; done) >> "$logs/pods.json" & watch=$!
disown $watch
sleep 2
failures=0 runs=0
for time in $(seq "$times"); do
  for name in "${drills[@]}"; do
    runs=$((runs + 1))
    drill "$name" "$time" || failures=$((failures + 1))
  done
done
echo "$failures of $runs drills failed; objects and logs are in $logs"
[ "$failures" = 0 ]
